"""What a model adds to pages and hovers: streamed, cached, marked; and what it does when it fails."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kexpert.abilities import Failed, Refused
from kexpert.features.explain.explain import explain
from kexpert.features.explain.explanation import Explanation
from kexpert.prompt.chat import SMALL, Task
from kexpert.render.explain import to_json, to_markdown
from kexpert.workspace.idle import Idle, OwnLoad, on_battery
from kexpert.workspace.snapshot import Position, Snapshot
from kexpert.workspace.summaries import Summaries
from kexpert.workspace.text_cache import FILE_NAME, TextCache
from kexpert.workspace.voice import Voice
from tests.support.memory_view import MemoryView
from tests.support.scripted_chat import Quiet, ScriptedChat, ScriptedModel
from tests.support.waiting import eventually

CODE = b"""\
struct toy { int turns; };

int toy_start(struct toy *toy)
{
	toy->turns = spring_go(toy);
	return 0;
}

int toy_stop(struct toy *toy)
{
	return spring_end(toy);
}

/* Tells how a toy is called. */
int toy_name(struct toy *toy)
{
	return toy->turns;
}

int main_loop(struct toy *toy)
{
	return toy_start(toy);
}
"""
VIEW = MemoryView({"drivers/toy.c": CODE})
LINE, SENTENCES = "Start a toy", "It calls spring_go(). It sets toy->turns. It then calls nothing_known()."


@pytest.fixture
def chat() -> ScriptedChat:
    return ScriptedChat({Task.SUMMARY: LINE, Task.EXPLANATION: SENTENCES})


@pytest.fixture
def voice(chat: ScriptedChat, tmp_path: Path) -> Iterator[Voice]:
    texts = TextCache(tmp_path)
    yield Voice(chat, texts, Quiet())
    texts.close()


def page(name: str = "toy_start") -> Explanation:
    source = VIEW.source("drivers/toy.c")
    assert source is not None
    at = CODE.index(name.encode())
    found = explain(VIEW, source, at, at)
    assert found is not None
    return found


def pages(voice: Voice, name: str = "toy_start", cancelled=lambda: False) -> list[Explanation]:
    source = VIEW.source("drivers/toy.c")
    assert source is not None
    return list(voice.pages(VIEW, source, page(name), cancelled))


# -- pages -----------------------------------------------------------------------------------------


def test_a_page_grows_by_a_line_and_then_by_sentences(voice: Voice) -> None:
    shown = [
        (each.written_summary and each.written_summary.text, each.written_text and each.written_text.text)
        for each in pages(voice)
    ]
    assert shown == [
        (LINE, None),
        (LINE, "It calls spring_go()."),
        (LINE, "It calls spring_go(). It sets toy->turns."),
    ]


def test_the_page_names_the_model_its_adapter_and_its_sources(voice: Voice, chat: ScriptedChat) -> None:
    chat.known = ScriptedModel(adapter="kernel-doc-1")
    found = pages(voice)[-1]
    text = to_markdown(found).replace("\\", "")
    assert "## In the words of a model\n\nStart a toy.\n\nIt calls spring_go(). It sets toy->turns." in text
    assert "*Machine-written by `parrot` with `kernel-doc-1` from [L3](drivers/toy.c#L3)" in text
    assert "calls `spring_go()`" in text.split("## In the words")[0]
    summary = to_json(found)["summary"]
    assert summary == {
        "text": LINE, "origin": "model", "model": "parrot", "adapter": "kernel-doc-1",
        "sources": [{"path": "drivers/toy.c", "line": 3}],
    }  # fmt: skip
    assert to_json(found)["explanation"]["text"] == "It calls spring_go(). It sets toy->turns."
    assert to_json(page())["explanation"] is None


def test_of_several_lines_the_one_that_most_agree_with_is_kept(voice: Voice, chat: ScriptedChat) -> None:
    chat.known = ScriptedModel(candidates=4)
    chat.answers[Task.SUMMARY] = "Wind the toy"
    chat.drawn[Task.SUMMARY] = ["Start a toy", "Start the toy", "Start the toy"]
    found = pages(voice)[-1].written_summary
    assert found is not None
    assert found.text == "Start the toy"
    assert len(chat.asked) == 4 + 1  # and the sentences


@pytest.mark.parametrize("lines", [
    ["Start the toy", "Free its queue", "Register all buses"],  # the model does not know
    ["Call zap_zap() once", "Call zap_zap() now", "Start a toy"],  # most agree on what may not be shown
])  # fmt: skip
def test_several_lines_that_do_not_agree_or_agree_on_nonsense_are_not_shown(
    voice: Voice, chat: ScriptedChat, lines: list[str]
) -> None:
    chat.known = ScriptedModel(candidates=3)
    chat.answers[Task.SUMMARY], chat.drawn[Task.SUMMARY] = lines[0], lines[1:]
    assert pages(voice)[-1].written_summary is None


def test_the_authors_own_words_come_before_the_models(voice: Voice, chat: ScriptedChat) -> None:
    found = pages(voice, "toy_name")
    assert [each.written_summary for each in found] == [None] * len(found)
    assert to_json(page("toy_name"))["summary"]["origin"] == "documentation"
    assert all("Explain" in messages[-1].text for messages in chat.asked)


def test_a_second_look_asks_nobody(voice: Voice, chat: ScriptedChat, tmp_path: Path) -> None:
    first = pages(voice)[-1]
    asked = len(chat.asked)
    assert pages(voice)[-1] == first
    again = Voice(chat, TextCache(tmp_path), Quiet())  # a later process
    assert pages(again)[-1] == first
    again.texts.close()
    assert len(chat.asked) == asked == 2


def test_another_model_is_asked_anew(voice: Voice, chat: ScriptedChat, tmp_path: Path) -> None:
    pages(voice)
    chat.known, chat.answers[Task.SUMMARY] = ScriptedModel("owl", identity="owl-1"), "Set the turns of a toy"
    later = Voice(chat, voice.texts, Quiet())
    found = pages(later)[-1].written_summary
    assert found is not None
    assert (found.text, found.model) == ("Set the turns of a toy", "owl")


def test_a_small_model_of_others_is_asked_for_the_line_alone(voice: Voice, chat: ScriptedChat) -> None:
    chat.known = ScriptedModel(budget=SMALL)
    assert [each.written_text for each in pages(voice)] == [None]


def test_without_a_model_there_is_nothing_to_add_and_a_reason(voice: Voice, chat: ScriptedChat) -> None:
    chat.known = None
    assert pages(voice) == []
    assert voice.why_silent == "no chat model: kexpert models add parrot"


@pytest.mark.parametrize("answer", ["", "<script>x</script>", "zap_zap()", "<|im_end|>", "[a](b)", "toy start"])
def test_nonsense_leaves_the_page_as_it_is(voice: Voice, chat: ScriptedChat, answer: str) -> None:
    chat.answers = {Task.SUMMARY: answer, Task.EXPLANATION: answer}
    assert pages(voice) == []
    assert len(chat.asked) == 2
    assert pages(voice) == []
    assert len(chat.asked) == 2  # known to be nothing


@pytest.mark.parametrize("problem", [Failed("it died"), Refused("it is damaged")])
def test_a_failure_leaves_the_page_as_it_is_and_is_logged_once(chat: ScriptedChat, problem: Exception) -> None:
    listener = Quiet()
    voice = Voice(chat, TextCache(None), listener)
    chat.problem = problem
    assert pages(voice) == pages(voice) == []
    assert listener.lines == [f"chat model: {problem}"]
    chat.problem = None
    assert pages(voice)[0].written_summary is not None


def test_a_page_that_nobody_waits_for_ends_at_once(voice: Voice, chat: ScriptedChat) -> None:
    chat.gate = threading.Event()
    assert pages(voice, cancelled=lambda: True) == []
    chat.gate = None
    assert pages(voice)[0].written_summary is not None


def test_a_newer_page_ends_an_older_one(voice: Voice, chat: ScriptedChat) -> None:
    chat.gate = threading.Event()
    older: list[list[Explanation]] = []
    thread = threading.Thread(target=lambda: older.append(pages(voice)))
    thread.start()
    eventually(lambda: chat.asked)
    newer = threading.Thread(target=lambda: pages(voice, "toy_stop"))
    newer.start()
    thread.join(20)
    assert older == [[]]
    chat.gate.set()
    newer.join(20)


def test_a_server_that_stalls_is_given_up(
    voice: Voice, chat: ScriptedChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kexpert.workspace.voice._MAX_SECONDS", 0.05)
    chat.gate = threading.Event()
    assert pages(voice) == []


def test_an_answer_that_was_cut_off_keeps_its_whole_sentences(voice: Voice, chat: ScriptedChat) -> None:
    chat.ends = False
    found = pages(voice)[-1]
    assert found.written_summary is None
    assert found.written_text is not None
    assert found.written_text.text == "It calls spring_go(). It sets toy->turns."


# -- the cache on disk -----------------------------------------------------------------------------


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"no database, but long enough to be looked at" * 200)
    texts = TextCache(tmp_path)
    texts.put("a", "text")
    texts.close()
    later = TextCache(tmp_path)
    assert later.get("a") == "text"
    assert later.get("b") is None
    later.close()


def test_a_cache_that_cannot_be_written_keeps_texts_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    texts = TextCache(tmp_path / "file")
    texts.put("a", "text")
    assert texts.get("a") == "text"
    texts.close()


def test_a_cache_stays_bounded_and_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kexpert.workspace.text_cache._PUTS_BETWEEN_COUNTS", 1)
    monkeypatch.setattr("kexpert.workspace.text_cache._REMOVED_AT_ONCE", 10)
    times = iter(range(1000))
    monkeypatch.setattr("kexpert.workspace.text_cache.time.time", lambda: next(times))
    texts = TextCache(tmp_path, max_texts=20)
    for at in range(45):
        texts.put(str(at), "text")
    texts.close()
    (count,) = sqlite3.connect(tmp_path / FILE_NAME).execute("SELECT count(*) FROM written").fetchone()
    assert count <= 20
    later = TextCache(tmp_path)
    assert later.get("44") == "text"
    assert later.get("0") is None
    later.close()


def test_two_processes_share_a_cache(tmp_path: Path) -> None:
    one, two = TextCache(tmp_path), TextCache(tmp_path)
    one.put("a", "text")
    assert two.get("a") == "text"
    one.close()
    two.close()


# -- hovers ----------------------------------------------------------------------------------------


class AlwaysIdle(Idle):
    def is_quiet(self) -> bool:
        return True

    def is_idle(self) -> bool:
        return True


class Busy(AlwaysIdle):
    def is_idle(self) -> bool:
        return False


class Fixed:
    """A tree whose view is a given one."""

    def view(self, overlay: object, unchanged: object) -> MemoryView:
        return VIEW


@pytest.fixture
def summaries(voice: Voice) -> Iterator[Summaries]:
    made = Summaries(voice, AlwaysIdle())
    yield made
    made.close()


def snapshot(summaries: Summaries | None, **settings: bool) -> Snapshot:
    from kexpert.workspace.documents import Documents
    from kexpert.workspace.settings import Settings

    return Snapshot(
        Path("/tree"), Documents(), "utf-8", replace(Settings(), **settings), Fixed(), summaries=summaries
    )


def hovered(found: Snapshot, name: str = "toy_start") -> str:
    from kexpert.render.markdown import hover_card

    before = CODE[: CODE.index(name.encode())]
    card = found.hover(Position("drivers/toy.c", before.count(b"\n"), len(before) - before.rfind(b"\n") - 1))
    assert card is not None
    return hover_card(card)


def test_a_line_that_is_not_known_is_there_at_the_next_hover(summaries: Summaries) -> None:
    mark = "Start a toy. (machine-written by `parrot`)"
    first = hovered(snapshot(summaries))
    assert "toy_start" in first
    assert "machine-written" not in first
    assert mark in eventually(lambda: hovered(snapshot(summaries)), lambda text: mark in text)


def test_macros_and_structs_get_a_line_and_documented_functions_do_not(
    summaries: Summaries, chat: ScriptedChat
) -> None:
    chat.answers[Task.SUMMARY] = "Keep the turns of a toy"
    eventually(lambda: hovered(snapshot(summaries), "toy { int"), lambda text: "Keep the turns" in text)
    assert "machine-written" not in hovered(snapshot(summaries), "toy_name")
    assert summaries.wait_idle(20)
    assert len(chat.asked) == 1


def test_a_setting_turns_the_line_off(summaries: Summaries, chat: ScriptedChat) -> None:
    assert "machine-written" not in hovered(snapshot(summaries, hover_summary=False))
    assert chat.asked == []


def test_a_hover_does_not_wait_for_a_slow_model(summaries: Summaries, chat: ScriptedChat) -> None:
    chat.gate = threading.Event()  # never opened while the hover runs
    assert "toy_start" in hovered(snapshot(summaries))
    assert "toy_stop" in hovered(snapshot(summaries), "toy_stop")
    chat.gate.set()
    eventually(lambda: hovered(snapshot(summaries)), lambda text: "machine-written" in text)


def test_a_hover_takes_the_answer_of_a_fast_model(
    summaries: Summaries, chat: ScriptedChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kexpert.workspace.summaries.MAX_HOVER_SECONDS", 20.0)
    for name in ("toy_start", "toy_stop", "toy { int"):
        hovered(snapshot(summaries), name)
        assert summaries.wait_idle(20)
    chat.answers[Task.SUMMARY] = "Run the main loop"
    assert "Run the main loop." in hovered(snapshot(summaries), "main_loop")


def test_open_files_are_summarised_when_the_machine_is_idle(summaries: Summaries, chat: ScriptedChat) -> None:
    chat.answers[Task.SUMMARY] = "Do something with a toy"
    summaries.look_through("drivers/toy.c", snapshot(summaries))
    assert summaries.wait_idle(20)
    assert len(chat.asked) == 3  # toy_name has a comment
    assert "machine-written" in hovered(snapshot(summaries), "toy_stop")
    assert len(chat.asked) == 3


def test_a_busy_machine_works_nothing_out_ahead_but_answers_hovers(voice: Voice, chat: ScriptedChat) -> None:
    busy = Summaries(voice, Busy())
    busy.look_through("drivers/toy.c", snapshot(busy))
    eventually(lambda: hovered(snapshot(busy)), lambda text: "machine-written" in text)
    assert len(chat.asked) == 1
    busy.close()


def test_a_closed_file_is_not_summarised(voice: Voice, chat: ScriptedChat) -> None:
    busy = Summaries(voice, Busy())
    busy.look_through("drivers/toy.c", snapshot(busy))
    busy.forget("drivers/toy.c")
    assert busy.wait_idle(20)
    assert chat.asked == []
    busy.close()


def test_a_model_that_cannot_be_used_is_asked_once(summaries: Summaries, chat: ScriptedChat) -> None:
    chat.problem = Refused("it is damaged")
    for name in ("toy_start", "toy_stop", "main_loop"):
        assert "machine-written" not in hovered(snapshot(summaries), name)
        assert summaries.wait_idle(20)
    assert len(chat.asked) == 1


def test_closing_ends_an_answer_that_stalls(summaries: Summaries, chat: ScriptedChat) -> None:
    chat.gate = threading.Event()
    hovered(snapshot(summaries))
    eventually(lambda: chat.asked)
    summaries.close()
    assert not summaries._thread._thread.is_alive()


# -- idle ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "status", "scope", "expected"),
    [("Battery", "Discharging", "", True), ("Battery", "Charging", "", False), ("Battery", "Full", "", False),
     ("Mains", "Discharging", "", False), ("Battery", "Discharging", "Device", False)],
)  # fmt: skip
def test_a_discharging_battery_of_the_machine_counts(
    tmp_path: Path, kind: str, status: str, scope: str, expected: bool
) -> None:
    (tmp_path / "BAT0").mkdir()
    for name, text in (("type", kind), ("status", status), ("scope", scope)):
        (tmp_path / "BAT0" / name).write_text(text + "\n")
    assert on_battery(tmp_path) is expected
    assert on_battery(tmp_path / "missing") is False


def test_after_a_question_the_machine_is_not_idle() -> None:
    idle = Idle()
    idle.note_question()
    assert not idle.is_idle()


def test_our_own_load_grows_with_work_and_fades() -> None:
    own = OwnLoad()
    own.add(60.0, 2)
    now = own._at
    assert own.at(now) == pytest.approx(2 * (1 - 0.3679), abs=0.01)
    assert own.at(now + 60) < own.at(now) / 2
