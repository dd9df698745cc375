"""The command line, as people expect it: `python manage.py migrate`."""

from core.cli import main

main()
