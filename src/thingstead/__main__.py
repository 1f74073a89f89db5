"""`python -m thingstead`: the command line."""

from thingstead.cli.main import main

if __name__ == "__main__":
    main()
