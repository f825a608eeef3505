"""Telling: an account's stages as sentences for people, the same on the command line and in reports."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def stages(account: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(stage, sentence) in the order of the stages, of an account as `Account.as_json` gives it."""
    return [
        ("fingerprint", _fingerprint(account["fingerprint"])),
        ("words", _place(account["words"], "by visual words")),
        ("looks", _place(account["looks"], "by looks")),
        *((kind, _place(stage, f"by {kind}")) for kind, stage in account.get("others", {}).items()),
        ("keypoints", _geometry(account["geometry"])),
        ("pixels", _pixels(account["pixels"])),
    ]


def _fingerprint(stage: Mapping[str, Any]) -> str:
    if not stage["query_usable"]:
        return "The query has too little in it for a fingerprint."
    if not stage["image_usable"]:
        return "The image has too little in it for a fingerprint."
    near = "near" if stage["near"] else f"not near, which is {stage['radius']} or less"
    return f"{stage['distance']} of 256 bits apart: {near}."


def _place(stage: Mapping[str, Any], how: str) -> str:
    if stage["place"] is None:
        return f"Not nominated {how}." if stage["asked"] else "Not asked."
    said = f"Place {stage['place']:,} {how}"
    if stage["nominated"]:
        return f"{said}: its keypoints are compared."
    return f"{said}: too far down to be compared." if stage["asked"] else f"{said}, which were not asked."


def _geometry(stage: Mapping[str, Any]) -> str:
    counts = f"{stage['inliers']} agree, of {stage['query']} in the query and {stage['image']} in the image"
    if stage["verdict"] == "proves":
        return f"They prove it: {counts}."
    verdict = "They only suggest it" if stage["verdict"] == "suggests" else "They prove nothing"
    return f"{verdict}: {counts}; {'; '.join(stage['lacks'])}."


def _pixels(stage: Mapping[str, Any]) -> str:
    if not stage["looked"]:
        return "Not compared."
    said = f"They agree to {stage['agreement']:.2f}"
    if stage["refuted"]:
        return f"They refute it: {refusal(stage)}."
    return f"{said}." if stage["confirmed"] else f"{said}: too little to confirm what is only suggested."


def refusal(stage: Mapping[str, Any]) -> str:
    """How the pixels speak against an image, as a phrase."""
    said = f"they agree to {stage['agreement']:.2f}"
    if stage["another_view"]:
        return f"{said}, and what is near is shifted against what is far: the scene was photographed again"
    if stage["differing"] < 0.01:
        return said
    share = f"{100 * stage['differing']:.0f} %"
    return f"{said}, and {share} of what both should show is something else in one piece"
