"""``python -m kexpert_trainer``: the ``kexpert-train`` command, also as torchrun starts it."""

from kexpert_trainer.cli import main

raise SystemExit(main())
