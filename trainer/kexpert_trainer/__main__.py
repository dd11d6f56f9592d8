"""``python -m kexpert_trainer``: the ``kexpert-train`` command; torchrun starts it in this form."""

from kexpert_trainer.cli import main

raise SystemExit(main())
