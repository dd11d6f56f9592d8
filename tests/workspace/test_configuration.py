"""The configuration in view: .config, the setting, the defaults; and what changes it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from kexpert.core.positions import Encoding
from kexpert.workspace.configuration import ConfigurationError, ConfigurationInView, choose
from kexpert.workspace.kconfig_table import Question, compute, load
from kexpert.workspace.snapshot import Position
from kexpert.workspace.workspace import Workspace
from tests.support.toy_tree import home_environment, write_tree
from tests.support.waiting import eventually
from tests.workspace.test_workspace import Heard

ENCODING: Encoding = "utf-16"
HOST = "x86"
FILES = {
    "Kconfig": 'source "mm/Kconfig"\nsource "arch/$(SRCARCH)/Kconfig"\n',
    "mm/Kconfig": 'choice\n\tprompt "which"\n\tdefault FAST\nconfig OLD\n\tbool "old"\nconfig FAST\n\tbool "fast"\n'
    'config SMALL\n\tbool "small"\nendchoice\n',
    "arch/x86/Kconfig": "config X86\n\tdef_bool y\n",
    "arch/x86/Makefile": "KBUILD_DEFCONFIG := usual_defconfig\n",
    "arch/x86/configs/small_defconfig": "CONFIG_SMALL=y\n",
    "arch/arm64/Kconfig": "config ARM64\n\tdef_bool y\n",
    "arch/arm64/configs/defconfig": "CONFIG_OLD=y\n",
    "Makefile": "obj-y += mm/\n",
    "mm/Makefile": "obj-$(CONFIG_OLD) += a_old.o\nobj-$(CONFIG_FAST) += fast.o\nobj-$(CONFIG_SMALL) += small.o\n"
    "obj-y += user.o\n",
    "mm/a_old.c": "int take(int old)\n{\n\treturn old;\n}\n",
    "mm/fast.c": "int take(int fast)\n{\n\treturn fast;\n}\n",
    "mm/small.c": "int take(int small)\n{\n\treturn small;\n}\n",
    "mm/user.c": "int take(int x);\nint use(void)\n{\n\treturn take(1);\n}\n",
}
CALL = Position("mm/user.c", 3, 9)
WHOLE = "#\n# Automatically generated file; DO NOT EDIT.\n# Linux/x86 6.1.0 Kernel Configuration\n#\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in home_environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    return write_tree(tmp_path / "linux", FILES)


@pytest.fixture
def in_view(root: Path, tmp_path: Path) -> Iterator[Callable[..., ConfigurationInView]]:
    made: list[ConfigurationInView] = []

    def make(setting: str = "", messages: list[str] | None = None) -> ConfigurationInView:
        said = messages if messages is not None else []
        made.append(ConfigurationInView(root, tmp_path / "cache", setting, patience_seconds=30, on_message=said.append))
        return made[-1]

    yield make
    for each in made:
        each.close()


def chosen(configuration: ConfigurationInView) -> set[str]:
    return {name for name in ("OLD", "FAST", "SMALL") if configuration.current().option(name) == "y"}


@pytest.mark.parametrize(
    ("dotconfig", "setting", "expected", "arch"),
    [
        ("", "", {"FAST"}, "x86"),
        ("", "small_defconfig", {"SMALL"}, "x86"),
        ("", "small", {"SMALL"}, "x86"),
        ("", "arm64", {"OLD"}, "arm64"),
        ("", "aarch64", {"OLD"}, "arm64"),
        ("", "arm64/defconfig", {"OLD"}, "arm64"),
        ("", "allnoconfig", {"FAST"}, "x86"),
        ("CONFIG_OLD=y\n", "", {"OLD"}, "x86"),
        ("CONFIG_OLD=y\n", "small_defconfig", {"OLD"}, "x86"),
        ("CONFIG_ARM64=y\nCONFIG_SMALL=y\n", "", {"SMALL"}, "arm64"),
        (WHOLE + "CONFIG_OLD=y\n# CONFIG_FAST is not set\n", "", {"OLD"}, "x86"),
    ],
    ids=["defaults of the choice", "a defconfig", "a defconfig's short name", "an architecture", "its other name",
         "a defconfig of an architecture", "allnoconfig", "a fragment", ".config before the setting",
         "architecture of a fragment", "a whole .config"],
)  # fmt: skip
def test_which_configuration_is_in_view(
    root: Path, in_view: Callable[..., ConfigurationInView], dotconfig: str, setting: str, expected: set[str], arch: str
) -> None:
    if dotconfig:
        (root / ".config").write_text(dotconfig)
    configuration = in_view(setting)
    assert (chosen(configuration), configuration.current().arch) == (expected, arch)


def test_an_option_that_a_whole_dotconfig_does_not_name_is_off(
    root: Path, in_view: Callable[..., ConfigurationInView]
) -> None:
    (root / ".config").write_text(WHOLE + "CONFIG_OLD=y\n")
    assert in_view().current().option("NOWHERE") == "n"


def test_all_decides_nothing(in_view: Callable[..., ConfigurationInView]) -> None:
    configuration = in_view("all")
    assert not configuration.current().is_decided
    assert configuration.describe() == "all variants"


def test_the_words_say_where_a_configuration_comes_from(
    root: Path, in_view: Callable[..., ConfigurationInView]
) -> None:
    assert in_view().describe() == "defaults: Kconfig's (x86)"
    assert in_view("arm64").describe() == "arm64: defconfig (arm64)"
    (root / ".config").write_text("CONFIG_OLD=y\n")
    assert in_view().describe() == ".config (x86)"


def test_what_make_defconfig_takes_is_the_default(root: Path, in_view: Callable[..., ConfigurationInView]) -> None:
    (root / "arch/x86/configs/usual_defconfig").write_text("CONFIG_SMALL=y\n")
    configuration = in_view()
    assert chosen(configuration) == {"SMALL"}
    assert configuration.describe() == "defaults: usual_defconfig (x86)"


@pytest.mark.parametrize("setting", ["nothing_defconfig", "../../../etc/passwd", "a/../b", "arm64/../x", "", "x" * 500])
def test_a_setting_that_names_nothing_is_one_line_and_the_defaults_hold(
    root: Path, in_view: Callable[..., ConfigurationInView], setting: str
) -> None:
    messages: list[str] = []
    configuration = in_view(setting, messages)
    assert chosen(configuration) == {"FAST"}
    if setting:
        with pytest.raises(ConfigurationError):
            choose(root, setting, root / ".config")
        assert len(messages) == 1
        assert messages[0].startswith("configuration: ")
        assert "\n" not in messages[0]


def test_a_changed_dotconfig_holds_with_the_next_question(
    root: Path, in_view: Callable[..., ConfigurationInView]
) -> None:
    configuration = in_view()
    for count, (text, expected) in enumerate([("CONFIG_OLD=y\n", {"OLD"}), ("CONFIG_SMALL=y\n", {"SMALL"})]):
        (root / ".config").write_text(text)
        os.utime(root / ".config", ns=(count, count))
        assert chosen(configuration) == expected
    (root / ".config").unlink()
    assert chosen(configuration) == {"FAST"}


def test_a_table_is_kept_until_a_kconfig_file_changes(root: Path, tmp_path: Path) -> None:
    question = Question("x86", "x86")
    assert load(root, tmp_path / "cache", question) is None
    made = compute(root, tmp_path / "cache", question)
    kept = load(root, tmp_path / "cache", question)
    assert made is not None
    assert kept == made
    assert load(root, tmp_path / "cache", Question("x86", "x86", (("OLD", "y"),))) is None
    (root / "mm/Kconfig").write_text("config OTHER\n\tdef_bool y\n")
    assert load(root, tmp_path / "cache", question) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1}', b"\xff\xfe"])
def test_a_damaged_table_is_computed_again(root: Path, tmp_path: Path, content: bytes) -> None:
    question = Question("x86", "x86")
    compute(root, tmp_path / "cache", question)
    (kept,) = (tmp_path / "cache").glob("kconfig-*.json")
    kept.write_bytes(content)
    assert load(root, tmp_path / "cache", question) is None
    assert compute(root, tmp_path / "cache", question) is not None


def test_a_jump_follows_dotconfig_and_the_setting_in_a_running_workspace(root: Path) -> None:
    heard = Heard()
    workspace = Workspace(heard, ENCODING, lambda work: None, [("client", {"vectors.enabled": False})])
    try:
        workspace.open_tree(root)
        assert eventually(lambda: workspace.snapshot().view.complete)

        def target() -> str:
            return workspace.snapshot().definition(CALL)[0].path

        assert eventually(lambda: target() == "mm/fast.c")
        settings: Mapping[str, object] = {"configuration": "small_defconfig", "vectors.enabled": False}
        workspace.configure("client", settings)
        assert eventually(lambda: target() == "mm/small.c")
        assert workspace.snapshot().configuration_words() == "small_defconfig (x86)"
        (root / ".config").write_text(WHOLE + "CONFIG_OLD=y\n")
        assert target() == "mm/a_old.c"
        assert workspace.snapshot().configuration_words() == ".config (x86)"
    finally:
        workspace.close()


def test_a_header_that_is_edited_and_saved_is_read_again(root: Path) -> None:
    header = "#ifdef CONFIG_FAST\n#include <linux/one.h>\n#else\n#include <linux/two.h>\n#endif\n"
    users = {f"mm/user{number}.c": "#include <linux/pick.h>\nint x = PICK;\n" for number in (1, 2, 3, 4)}
    write_tree(root, users | {
        "include/linux/pick.h": header, "include/linux/one.h": "#define PICK 1\n",
        "include/linux/two.h": "#define PICK 2\n",
    })  # fmt: skip
    workspace = Workspace(Heard(), ENCODING, lambda work: None, [("client", {"vectors.enabled": False})])
    try:
        workspace.open_tree(root)
        assert eventually(lambda: workspace.snapshot().view.complete)

        def target(user: int) -> str:
            return workspace.snapshot().definition(Position(f"mm/user{user}.c", 1, 8))[0].path

        assert eventually(lambda: target(1) == "include/linux/one.h")
        turned = header.replace("ifdef", "ifndef")
        workspace.open("include/linux/pick.h", turned)
        assert target(2) == "include/linux/two.h"
        workspace.close_document("include/linux/pick.h")
        assert target(3) == "include/linux/one.h"
        (root / "include/linux/pick.h").write_text(turned)
        workspace.files_changed(["include/linux/pick.h"])
        assert target(4) == "include/linux/two.h"
        assert target(1) == "include/linux/two.h"
    finally:
        workspace.close()
