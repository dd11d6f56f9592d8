"""model.json: reading, writing, and refusals with their reasons."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.prompt.chat import CHAT_PROMPT_VERSION
from kexpert.prompt.fim import PROMPT_VERSION
from kexpert.prompt.manifest import (
    Ability,
    Manifest,
    ManifestError,
    dump_manifest,
    lacks_ability,
    mismatch,
    parse_manifest,
    tokenizer_hash,
)  # fmt: skip

TOKENIZER = tokenizer_hash(["<|endoftext|>", "a", "Ġb"])
MANIFEST = Manifest(
    "small", "small-q8.gguf", PROMPT_VERSION, TOKENIZER, 1024, base_sha256="0" * 64, licence="GPL-2.0-only",
    data={"tree": "6.1"}, figures={"bits_per_byte": 0.7},
)  # fmt: skip

CHAT = replace(
    MANIFEST, name="talker", abilities=("chat",), prompt_version=0, chat_prompt_version=CHAT_PROMPT_VERSION,
    tasks=("summary", "kernel-doc"),
)  # fmt: skip


def test_a_written_manifest_parses_to_the_same() -> None:
    assert parse_manifest(dump_manifest(MANIFEST)) == MANIFEST
    assert parse_manifest(dump_manifest(CHAT)) == CHAT


def test_unknown_entries_are_ignored() -> None:
    entries = json.loads(dump_manifest(MANIFEST)) | {"colour": "blue"}
    assert parse_manifest(json.dumps(entries)) == MANIFEST


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "format 9"),
        ({"base": None}, "'base' must be a string"),
        ({"base": "../../etc/passwd"}, "beside the manifest"),
        ({"base": ""}, "beside the manifest"),
        ({"adapter": "/tmp/x.gguf"}, "beside the manifest"),
        ({"context": "much"}, "'context' must be a whole number"),
        ({"context": 0}, "above 0"),
        ({"context": True}, "'context' must be a whole number"),
        ({"order": "mps"}, "spm, psm"),
        ({"tokenizer": "abc"}, "SHA-256"),
        ({"abilities": "chat"}, "'abilities' must be a list of strings"),
        ({"abilities": ["chat", 7]}, "'abilities' must be a list of strings"),
        ({"tasks": {"summary": True}}, "'tasks' must be a list of strings"),
        ({"chat_prompt_version": "1"}, "'chat_prompt_version' must be a whole number"),
    ],
)
def test_an_error_names_the_bad_entry(change: dict[str, object], message: str) -> None:
    entries = json.loads(dump_manifest(MANIFEST)) | change
    with pytest.raises(ManifestError, match=message):
        parse_manifest(json.dumps(entries))


def test_an_error_names_the_missing_entry() -> None:
    entries = json.loads(dump_manifest(MANIFEST))
    del entries["tokenizer"]
    with pytest.raises(ManifestError, match="lacks 'tokenizer'"):
        parse_manifest(json.dumps(entries))


def test_a_model_of_others_needs_few_entries() -> None:
    manifest = parse_manifest('{"format": 1, "name": "other", "base": "weights", "context": 4096}')
    assert manifest == Manifest("other", "weights", 0, "", 4096, order="psm")
    assert mismatch(manifest, TOKENIZER) == ""
    assert parse_manifest(dump_manifest(manifest)) == manifest
    assert "tokenizer" in mismatch(replace(manifest, tokenizer="1" * 64), TOKENIZER)
    assert "tokenizer" in mismatch(replace(MANIFEST, tokenizer=""), TOKENIZER)


def test_a_chat_model_of_others_needs_few_entries() -> None:
    manifest = parse_manifest('{"format": 1, "name": "other", "base": "w", "context": 4096, "abilities": ["chat"]}')
    assert (manifest.prompt_version, manifest.chat_prompt_version, manifest.tasks) == (0, 0, ())
    assert mismatch(manifest, TOKENIZER, ability="chat") == ""


def test_a_manifest_without_abilities_is_of_a_model_that_completes() -> None:
    entries = json.loads(dump_manifest(MANIFEST))
    for name in ("abilities", "chat_prompt_version", "tasks"):
        del entries[name]
    manifest = parse_manifest(json.dumps(entries))
    assert manifest == MANIFEST
    assert mismatch(manifest, TOKENIZER) == ""


@pytest.mark.parametrize(
    ("manifest", "ability", "named"), [(MANIFEST, "chat", "complete"), (CHAT, "complete", "chat")]
)
def test_an_ability_that_a_manifest_does_not_name_is_refused(manifest: Manifest, ability: Ability, named: str) -> None:
    reason = lacks_ability(manifest, ability)
    assert reason == f"{manifest.name}: its model.json names the abilities: {named}; '{ability}' is not among them"
    assert mismatch(manifest, TOKENIZER, ability=ability) == reason


def test_each_ability_has_a_prompt_version_of_its_own() -> None:
    both = replace(CHAT, abilities=("complete", "chat"), prompt_version=PROMPT_VERSION)
    old_chat = replace(both, chat_prompt_version=CHAT_PROMPT_VERSION + 1)
    assert "chat prompt version" in mismatch(old_chat, TOKENIZER, ability="chat")
    assert mismatch(old_chat, TOKENIZER) == ""
    old_completion = replace(both, prompt_version=PROMPT_VERSION + 1)
    assert "prompt version" in mismatch(old_completion, TOKENIZER)
    assert mismatch(old_completion, TOKENIZER, ability="chat") == ""


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_invalid_text_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ManifestError) as refusal:
        parse_manifest(text)
    assert "\n" not in str(refusal.value)


def test_the_tokenizer_hash_depends_on_tokens_and_order() -> None:
    assert tokenizer_hash(["a", "b"]) != tokenizer_hash(["b", "a"])
    assert tokenizer_hash(["ab", "c"]) != tokenizer_hash(["a", "bc"])


def test_a_fitting_model_is_accepted() -> None:
    assert mismatch(MANIFEST, TOKENIZER, "0" * 64) == ""


@pytest.mark.parametrize(
    ("manifest", "tokenizer", "base", "reason"),
    [
        (replace(MANIFEST, prompt_version=PROMPT_VERSION + 1), TOKENIZER, "", "prompt version"),
        (MANIFEST, tokenizer_hash(["other"]), "", "tokenizer"),
        (MANIFEST, TOKENIZER, "1" * 64, "small-q8.gguf is not the file"),
        (replace(MANIFEST, adapter="l.gguf", adapter_base_sha256="1" * 64), TOKENIZER, "", "another base"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(manifest: Manifest, tokenizer: str, base: str, reason: str) -> None:
    assert reason in mismatch(manifest, tokenizer, base)
