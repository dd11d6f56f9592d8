"""A kernel tree of a few short files, and a tokenizer, corpus and checkpoint made from it."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from kexpert_trainer.data import corpus
from kexpert_trainer.data import tokenizer as tokenizers
from kexpert_trainer.data.shards import CorpusManifest
from kexpert_trainer.data.sources import is_held_out
from kexpert_trainer.models import llama
from kexpert_trainer.models.sizes import ModelSize

HEADER = """\
/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _LINUX_WIDGET_H
#define _LINUX_WIDGET_H

struct widget {
	int id;
	unsigned long flags;
};

/**
 * widget_enable - switch a widget on
 * @w: the widget
 */
int widget_enable(struct widget *w, unsigned long flags);
void widget_disable(struct widget *w);

#endif
"""

DRIVER = """\
// SPDX-License-Identifier: GPL-2.0-only
#include <linux/widget.h>

static int {name}_probe(struct device *dev)
{{
	struct widget *w = dev_get_drvdata(dev);
	int ret;

	ret = widget_enable(w, {number});
	if (ret < 0) {{
		dev_err(dev, "cannot enable {name}: %d\\n", ret);
		return ret;
	}}

	w->id = {number};
	return 0;
}}

static void {name}_remove(struct device *dev)
{{
	struct widget *{short} = dev_get_drvdata(dev);

	widget_disable({short});
{calls}}}
"""


def driver(seed: int) -> str:
    """A file of the same form as the others, with hardly a line in common."""
    rng = random.Random(seed)
    name = "".join(rng.choices("bcdfgklmnprst", k=3)) + rng.choice(("_phy", "_clk", "_hwmon"))
    calls = "".join(f"\t{name}_put(w, {rng.randrange(10_000)});\n" for _ in range(rng.randrange(20, 40)))
    return DRIVER.format(name=name, number=rng.randrange(10_000), short=name[:2] + "w", calls=calls)


def tree(folder: Path, drivers: int = 40) -> Path:
    """Write a tree; some of its files are held out."""
    files = {"include/linux/widget.h": HEADER, "Makefile": "VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 27\n"}
    files |= {f"drivers/widget/driver{at}.c": driver(at) for at in range(drivers)}
    files |= {f"drivers/widget/{held_out(at)}": driver(1000 + at) for at in range(4)}
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def held_out(number: int) -> str:
    """The name of a file that is held out."""
    found = (f"held{at}.c" for at in range(100_000) if is_held_out(f"drivers/widget/held{at}.c"))
    return next(name for at, name in enumerate(found) if at == number)


@cache
def tokenizer() -> Tokenizer:
    return tokenizers.train([HEADER, *(driver(at) for at in range(40))], 400)


def make_corpus(folder: Path, sequence: int = 128, **options: Any) -> CorpusManifest:
    """Write ``folder``/corpus from a tree in ``folder``/tree. ``options``: fields of CorpusConfig."""
    config = corpus.CorpusConfig(sequence=sequence, files_per_shard=20, **options)
    return corpus.build(tree(folder / "tree"), tokenizer(), folder / "corpus", config)


def checkpoint(folder: Path, sequence: int = 128, **dimensions: int) -> llama.Llama:
    """Write a model with random weights as a checkpoint. ``dimensions``: fields of ModelSize."""
    size = {"width": 64, "layers": 2, "mlp_width": 128, "kv_heads": 1} | dimensions
    folder.mkdir(parents=True, exist_ok=True)
    model = llama.Llama(ModelSize(**size, vocabulary=tokenizer().get_vocab_size(), sequence=sequence))
    for weight in model.parameters():
        # As large as in a trained model; with a deviation of 0.02 every logit would be near 0.
        weight.data.mul_(5 if weight.ndim == 2 else 1)
    llama.save(model, folder)
    tokenizer().save(str(folder / tokenizers.FILE_NAME))
    return model
