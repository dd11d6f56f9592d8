"""The adapter that comes with kexpert, on its real base: it loads, and its answers have the taught forms."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from kexpert.model.base_install import BUNDLED_ADAPTER, bundled_adapter, install
from kexpert.model.base_models import CATALOGUE
from kexpert.model.engines.llama_cpp_engine import LlamaCppChat
from kexpert.prompt.chat import CHAT_PROMPT_VERSION, Message, Task, answer_prompt, kernel_doc_prompt, summary_prompt

BASE = CATALOGUE["smollm2-135m"]
CODE = """\
int toy_clock_enable(struct toy_clock *clock, unsigned int timeout)
{
	int ret;

	ret = regmap_write(clock->map, TOY_CLOCK_CTRL, TOY_CLOCK_ON);
	if (ret)
		return ret;
	return wait_for_clock(clock, timeout);
}
"""


@pytest.fixture(scope="module")
def chat(smollm2_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> LlamaCppChat:
    folder = tmp_path_factory.mktemp("models") / "smollm2-135m"
    folder.mkdir()
    for file in smollm2_gguf.parent.iterdir():
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    manifest = install(BASE, folder, bundled_adapter(BASE))
    assert manifest.adapter
    return LlamaCppChat(folder / manifest.base, manifest, folder / manifest.adapter, 2, 0)


def answered(chat: LlamaCppChat, messages: list[Message], max_tokens: int = 60) -> str:
    return "".join(token.text for token in chat.answer(messages, max_tokens, lambda: False))


def test_the_adapter_is_for_this_base_and_this_form_of_prompts() -> None:
    adapter = bundled_adapter(BASE)
    assert adapter is not None
    assert adapter.entries["chat_prompt_version"] == CHAT_PROMPT_VERSION
    assert set(adapter.entries["tasks"]) <= set(Task)
    for name in ("adapter_model.safetensors", "adapter_config.json", "README.md"):
        assert (BUNDLED_ADAPTER / name).is_file()


def test_a_summary_is_one_short_line(chat: LlamaCppChat) -> None:
    neighbours = [("toy_clock_disable", "disable a toy clock")]
    summary = answered(chat, summary_prompt("drivers/toy/clock.c", CODE, neighbours))
    assert re.fullmatch(r"enable[\w ]{1,40}clock[\w ]{0,20}", summary, re.I), summary


def test_kernel_doc_has_a_line_for_each_parameter(chat: LlamaCppChat) -> None:
    lines = answered(chat, kernel_doc_prompt("drivers/toy/clock.c", CODE)).split("\n")
    assert [line.partition(":")[0] for line in lines][:2] == ["@clock", "@timeout"]


def test_an_answer_cites_the_source_that_holds_it(chat: LlamaCppChat) -> None:
    sources = [
        ("drivers/toy/clock.c:20", "toy_clock_enable() returns the error of regmap_write()"),
        ("drivers/toy/clock.c:9", "toy_clock_stop() takes &clock->lock (mutex)"),
        ("drivers/toy/clock.c:40", "toy_clock_stop() is called by toy_remove()"),
    ]
    answer = answered(chat, answer_prompt("Which lock does toy_clock_stop() take?", sources))
    assert re.fullmatch(r"&clock->lock(?: \(mutex\))? \[2\]", answer), answer


def test_it_says_which_adapter_wrote(chat: LlamaCppChat) -> None:
    assert chat.adapter.startswith("kexpert-explain-lora-")
    assert chat.name == "smollm2-135m"
