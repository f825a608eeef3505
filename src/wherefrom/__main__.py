"""`python -m wherefrom`: the command line."""

from wherefrom.cli.entry import main

if __name__ == "__main__":
    main()
