"""Settings: defaults, layers, and what happens to wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kexpert.workspace.settings import Settings, client_layer, file_layers, resolve_settings, settings_markdown

README = Path(__file__).resolve().parents[2] / "README.md"

json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
keys = st.sampled_from(["index", "index.jobs", "jobs", "hover", "log", "log.level", "diagnostics", "x", ""])


def test_later_layers_win_option_by_option() -> None:
    options, warnings = resolve_settings(
        [
            ("file", {"index": {"jobs": 2, "watch": False}}),
            ("client", {"index.jobs": 4, "diagnostics": {"timeout_seconds": 5}}),
        ]
    )
    assert not warnings
    assert (options.index_jobs, options.index_watch, options.diagnostics_timeout_seconds) == (4, False, 5.0)


@pytest.mark.parametrize(
    ("layer", "named"),
    [
        ({"index": {"jobs": "many"}}, "index.jobs"),
        ({"index": {"jobs": -1}}, "index.jobs"),
        ({"index": {"jobs": True}}, "index.jobs"),
        ({"index": {"watch": 1}}, "index.watch"),
        ({"index": {"exclude": "tools"}}, "index.exclude"),
        ({"index": {"exclude": [1]}}, "index.exclude"),
        ({"diagnostics": {"timeout_seconds": float("nan")}}, "diagnostics.timeout_seconds"),
        ({"log": {"level": "loud"}}, "log.level"),
        ({"index": 3}, "index"),
        ({"hover": {"colour": "red"}}, "hover.colour"),
        ({"colours": {"sky": "x"}}, "colours"),
        ({"model": {"path": 3}}, "model.path"),
    ],
)
def test_a_wrong_option_is_named_and_the_default_holds(layer: dict[str, object], named: str) -> None:
    options, warnings = resolve_settings([("here", layer)])
    assert options == Settings()
    assert len(warnings) == 1
    assert f"'{named}'" in warnings[0]
    assert warnings[0].startswith("here: ")


def test_a_wrong_option_leaves_the_layer_below_in_force() -> None:
    options, warnings = resolve_settings([("file", {"log.level": "debug"}), ("client", {"log.level": 7})])
    assert options.log_level == "debug"
    assert warnings


@given(st.dictionaries(keys, json), json)
def test_no_settings_raise(layer: dict[str, object], sent: object) -> None:
    options, _ = resolve_settings([("any", layer), *client_layer("client", sent)[0]])
    assert isinstance(options, Settings)


def test_files_of_the_user_and_of_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "kexpert").mkdir(parents=True)
    (tmp_path / "config" / "kexpert" / "config.toml").write_text("[completion]\nlimit = 7\n[index]\njobs = 1\n")
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".kexpert.toml").write_text("index.jobs = 2\n")
    layers, warnings = file_layers(tree)
    options, more = resolve_settings(layers)
    assert not warnings + more
    assert (options.completion_limit, options.index_jobs) == (7, 2)


@pytest.mark.parametrize("content", [b"[index\n", b"\xff\xfe", b"a" * (2 << 20)])
def test_a_broken_file_is_named(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    (tmp_path / "kexpert.toml").write_bytes(content)
    layers, warnings = file_layers(tmp_path)
    assert not layers
    assert len(warnings) == 1
    assert "kexpert.toml" in warnings[0]


def test_a_tree_does_not_say_what_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "kexpert").mkdir(parents=True)
    (tmp_path / "config" / "kexpert" / "config.toml").write_text('model.url = "http://127.0.0.1:8012"\n')
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "kexpert.toml").write_text('inline.lines = 3\n[model]\nurl = "http://198.51.100.1"\npath = "evil.gguf"\n')
    layers, warnings = file_layers(tree)
    options, more = resolve_settings(layers)
    assert (options.model_url, options.model_path, options.inline_lines) == ("http://127.0.0.1:8012", "", 3)
    assert not more
    assert [name for name in ("model.url", "model.path") if any(f"'{name}'" in said for said in warnings)] == [
        "model.url", "model.path"
    ]  # fmt: skip


def test_a_client_may_send_the_section_or_what_is_in_it() -> None:
    for sent in ({"kexpert": {"index": {"jobs": 3}}}, {"index": {"jobs": 3}}):
        assert resolve_settings(client_layer("client", sent)[0])[0].index_jobs == 3


def test_the_readme_describes_every_option() -> None:
    table = README.read_text().partition("<!-- options -->")[2].partition("<!--")[0]
    assert table.strip() == settings_markdown().strip()
