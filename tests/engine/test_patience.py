"""What is read ends when nobody waits for it, and at Ctrl-C."""

from __future__ import annotations

import _thread
import threading
from pathlib import Path

import pytest

from tests.engine.models import Clock
from tests.engine.test_conditions import populated
from wherefrom.engine.catalog import Catalog
from wherefrom.engine.database import Database
from wherefrom.engine.patience import Patience
from wherefrom.errors import Busy, UsageError

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"


@pytest.fixture
def database(tmp_path: Path) -> Database:
    Catalog(tmp_path, create=True).close()
    return Database(tmp_path / "catalog.sqlite")


def read(database: Database) -> None:
    with database.reading() as connection:
        connection.exec_driver_sql(ENDLESS).all()


def test_it_ends_after_the_seconds_that_somebody_waits(database: Database) -> None:
    with pytest.raises(Busy, match=r"longer than 0\.2 seconds"), Patience(0.2).kept():
        read(database)
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1


def test_it_ends_when_somebody_waits_no_more(database: Database) -> None:
    stop = threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    with pytest.raises(Busy), Patience(60, threading.Event(), stop).kept():
        read(database)
    timer.join()


def test_it_ends_at_ctrl_c(database: Database) -> None:
    timer = threading.Timer(0.2, _thread.interrupt_main)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        read(database)
    timer.join()


def test_a_filter_that_cannot_be_answered_in_time_is_refused_at_once(tmp_path: Path) -> None:
    clock = Clock()
    catalog = Catalog(tmp_path, create=True, clock=clock)
    populated(catalog, clock)
    wanted = " or ".join(f"folder=x{number}" for number in range(50))
    assert len(catalog.matching(wanted)) == 0
    with Patience(0.001).kept(), pytest.raises(UsageError, match=r"50 terms .* use at most \d+"):
        catalog.matching(wanted)
    catalog.close()
