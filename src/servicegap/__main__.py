"""``python -m servicegap`` is the command ``servicegap``."""

from servicegap.cli import main

if __name__ == "__main__":
    main()
