"""What a chat model adds to answers and to kernel-doc comments, and what happens when it fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from kexpert.abilities import Cancelled, Failed, Refused
from kexpert.core.c.source import Source
from kexpert.prompt.chat import SMALL, Task
from kexpert.render.kernel_doc import to_json, written_by
from kexpert.workspace.documents import Document, Documents
from kexpert.workspace.settings import Settings
from kexpert.workspace.snapshot import Position, Refusal, Snapshot
from kexpert.workspace.text_cache import TextCache
from kexpert.workspace.voice import Voice
from tests.support.scripted_chat import Quiet, ScriptedChat, ScriptedModel

PATH = "drivers/toy.c"
CODE = b"""\
int toy_wind(struct toy *toy, unsigned int turns)
{
	if (toy->broken)
		return -EINVAL;
	toy->turns = turns;
	return spring_wind(toy);
}

int toy_value(int raw)
{
	return raw;
}
"""
AT = Position(PATH, 0, 5)


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat(
        {Task.SUMMARY: "Wind up a toy"}, lines={"@toy": "the toy to wind", "@turns": "how many turns to wind it by"}
    )


def snapshot(chat: ScriptedChat, data: bytes = CODE) -> Snapshot:
    voice = Voice(chat, TextCache(None), Quiet())
    documents = Documents(Path("/tree"), {PATH: Document(Source(PATH, data))})
    return Snapshot(Path("/tree"), documents, "utf-8", Settings(), None, voice=voice)


def test_the_model_words_the_brief_and_the_parameters_and_facts_the_rest(chat: ScriptedChat) -> None:
    found = snapshot(chat).kernel_doc(AT)
    assert found is not None
    assert found.comment() == (
        "/**\n"
        " * toy_wind() - Wind up a toy\n"
        " * @toy: the toy to wind\n"
        " * @turns: how many turns to wind it by\n"
        " *\n"
        " * Return: -EINVAL if ``toy->broken`` or the result of spring_wind()\n"
        " */"
    )
    origins = {text["mark"]: (text["origin"], text["model"]) for text in to_json(found)["texts"]}
    assert origins["@toy"] == ("model", "parrot") and origins["Return"] == ("facts", None)
    assert written_by(found) == "brief, @toy and @turns by parrot: read before you keep them"


def test_the_program_writes_the_marks(chat: ScriptedChat) -> None:
    snapshot(chat).kernel_doc(AT)
    assert chat.beginnings == ["@toy: ", "@toy: the toy to wind\n@turns: "]


@pytest.mark.parametrize(
    "line", ["", "turns", "the spring_lock that protects it", "@toy: again", "<b>bold</b>", "http://x.org/", "Note: a"]
)
def test_a_line_that_may_not_be_shown_leaves_the_fact(chat: ScriptedChat, line: str) -> None:
    chat.lines["@turns"] = line
    found = snapshot(chat).kernel_doc(AT)
    assert found is not None
    assert " * @turns: the turns (``unsigned int``), stored in ``toy->turns``\n" in found.comment()


def test_what_a_person_wrote_nearby_is_not_asked_for(chat: ScriptedChat) -> None:
    other = b"/**\n * toy_stop() - stop it\n * @toy: the toy at hand\n */\nvoid toy_stop(struct toy *toy)\n{\n}\n\n"
    found = snapshot(chat, other + CODE).kernel_doc(Position(PATH, 8, 5))
    assert found is not None and " * @toy: the toy at hand\n" in found.comment()
    assert chat.beginnings == ["@toy: the toy at hand\n@turns: "]


@pytest.mark.parametrize("problem", [Failed("the worker died"), Refused("no such file")])
def test_without_an_answer_the_comment_is_made_from_facts(chat: ScriptedChat, problem: Exception) -> None:
    chat.problem = problem
    found = snapshot(chat).kernel_doc(AT)
    assert found is not None and {text.origin for text in found.texts} == {"facts"}


@pytest.mark.parametrize("model", [ScriptedModel(tasks=(Task.SUMMARY,)), ScriptedModel(budget=SMALL)])
def test_a_model_for_other_tasks_is_not_asked_for_parameters(chat: ScriptedChat, model: ScriptedModel) -> None:
    chat.known = model
    found = snapshot(chat).kernel_doc(AT)
    assert found is not None and written_by(found) == "brief by parrot: read before you keep it"


def test_a_cancelled_request_ends(chat: ScriptedChat) -> None:
    with pytest.raises(Cancelled):
        snapshot(chat).kernel_doc(AT, lambda: True)


def test_a_definition_that_kernel_doc_cannot_read_is_refused(chat: ScriptedChat) -> None:
    with pytest.raises(Refusal, match="'__maybe_unused' after the parameter 'a'"):
        snapshot(chat, b"int f(int a __maybe_unused)\n{\n}\n").kernel_doc(Position(PATH, 0, 4))


QUESTION = "how does one wind a toy?"


@pytest.fixture
def asked(chat: ScriptedChat) -> Snapshot:
    from tests.support.memory_view import MemoryView

    found = snapshot(chat)
    found.__dict__["view"] = MemoryView({PATH: CODE})
    return found


def test_the_model_answers_from_the_sources(chat: ScriptedChat, asked: Snapshot) -> None:
    chat.answers[Task.ANSWER] = "One calls toy_wind() to wind a toy [1]. It plays music_now() [1]."
    found = asked.ask(QUESTION)
    assert (found.text, found.origin) == ("One calls toy_wind() to wind a toy [1].", "model")
    assert [each.path for each in found.citations] == [PATH]


def test_the_same_question_is_asked_once(chat: ScriptedChat, asked: Snapshot) -> None:
    chat.answers[Task.ANSWER] = "One calls toy_wind() [1]."
    assert asked.ask(QUESTION) == asked.ask(QUESTION)
    assert len(chat.asked) == 1


def test_facts_need_no_model(chat: ScriptedChat, asked: Snapshot) -> None:
    assert asked.ask("What does toy_wind() return if toy->broken?").origin == "facts"
    assert chat.asked == []


def test_a_small_model_of_others_is_not_asked(chat: ScriptedChat, asked: Snapshot) -> None:
    chat.known = ScriptedModel(budget=SMALL)
    assert asked.ask(QUESTION).origin == "sources"
    assert chat.asked == []


def test_a_model_that_fails_leaves_the_sources(chat: ScriptedChat, asked: Snapshot) -> None:
    chat.problem = Failed("the server does not answer")
    found = asked.ask(QUESTION)
    assert found.origin == "sources" and found.citations
