"""Checks of an answer that need no reference; the gate; the ranks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kexpert_trainer.evaluation.answer_checks import (
    check_kernel_doc,
    identifiers,
    invented,
    parameter_names,
    returns_something,
)
from kexpert_trainer.evaluation.gate import fit_gate, gated
from kexpert_trainer.evaluation.rivals import nearest, ranks_of_true

CODE = "static int foo_start(struct foo *foo)\n{\n\treturn bar_enable(foo->clk);\n}\n"


def test_names_of_code_in_prose() -> None:
    text = "Calls foo_get() and kmalloc( for @dev, an mDNS queue; see struct page and USB, then stops"
    assert identifiers(text) == {"foo_get", "kmalloc", "dev", "mDNS", "page"}
    assert identifiers("Start the device, or fail") == set()


def test_a_name_is_invented_if_no_evidence_holds_it() -> None:
    assert invented("Start by bar_enable() of foo_clk", ["foo.c", CODE]) == {"foo_clk"}
    assert invented("Start by bar_enable()", ["foo.c", CODE]) == set()


def test_kernel_doc_with_all_parameters_and_return() -> None:
    check = check_kernel_doc("@foo: the foo\nReturn: 0 on success", ["foo"], returns=True)
    assert (check.complete, check.added, check.return_right) == (True, (), True)


def test_kernel_doc_that_lacks_one_parameter_and_invents_another() -> None:
    check = check_kernel_doc("@foo: the foo\n@baz: no such\n@empty:", ["foo", "bar", "empty"], returns=True)
    assert not check.complete
    assert check.missing == ("bar", "empty")
    assert check.added == ("baz",)
    assert not check.return_right


@pytest.mark.parametrize(
    ("code", "name", "returns"),
    [
        (CODE, "foo_start", True),
        ("static void foo_stop(struct foo *foo)\n{\n}\n", "foo_stop", False),
        ("static __always_inline void foo_stop(void)\n{\n}\n", "foo_stop", False),
        ("void __init foo_init(void)\n{\n}\n", "foo_init", False),
        ("void *foo_get(void)\n{\n}\n", "foo_get", True),
        ("void __iomem *foo_map(void)\n{\n}\n", "foo_map", True),
        ("static bool\nfoo_ok(void *data)\n{\n}\n", "foo_ok", True),
    ],
)
def test_a_return_section_is_for_functions_that_return(code: str, name: str, returns: bool) -> None:
    assert returns_something(code, name) is returns
    answer = "@foo: x" + ("\nReturn: y" if returns else "")
    assert check_kernel_doc(answer, ["foo"], returns_something(code, name)).return_right


def test_the_parameters_of_a_reference() -> None:
    assert parameter_names("@foo: the foo\n@flags: some flags\nReturn: 0") == ["foo", "flags"]


def test_a_gate_takes_the_neighbour_from_the_cosine_that_pays() -> None:
    cosines = [0.9, 0.8, 0.5, 0.4]
    neighbour, model = [60.0, 50.0, 5.0, 1.0], [30.0, 30.0, 30.0, 30.0]
    assert fit_gate(cosines, neighbour, model) == 0.8
    assert gated(0.8, cosines, ["n1", "n2", "n3", "n4"], ["m1", "m2", "m3", "m4"]) == ["n1", "n2", "m3", "m4"]


def test_a_gate_never_takes_a_neighbour_that_is_worse() -> None:
    assert fit_gate([0.9, 0.1], [1.0, 1.0], [2.0, 2.0]) == math.inf
    assert fit_gate([], [], []) == math.inf


def test_equal_cosines_are_on_one_side_of_the_gate() -> None:
    # taking only the first of the two would gain 10, both lose
    assert fit_gate([0.9, 0.9], [20.0, 0.0], [10.0, 20.0]) == math.inf


def test_the_nearest_comment_is_never_the_functions_own() -> None:
    pool = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    rows, cosines = nearest(pool[:1], [[0]], pool)
    assert rows == [1]
    assert cosines == [pytest.approx(0.8)]
    assert nearest(pool[:1], [[]], pool)[0] == [0]
    assert nearest(pool[:1], [[0, 1]], pool)[0] == [2]


def test_the_rank_of_the_true_function() -> None:
    functions = np.eye(3, dtype=np.float32)
    answers = np.array([[1, 0, 0], [1, 0.5, 0], [0, 0, 0]], dtype=np.float32)
    assert ranks_of_true(answers, functions) == [1, 2, 3]
    assert ranks_of_true(answers, functions, among=2) == [1, 1, 2]
