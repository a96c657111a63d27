"""`python -m galeno` is `galeno`."""

from galeno.cli import main

if __name__ == "__main__":
    main()
