"""Golden texts of sources. Adapters are trained on these very forms: a changed one needs a new prompt version."""

from __future__ import annotations

from kexpert.prompt.sources import caller_source, fact_source, lock_source, member_source, option_source, return_source


def test_a_fact_becomes_a_sentence_without_backticks() -> None:
    assert fact_source("f()", "takes `&x->lock` (mutex)  if `a`") == "f() takes &x->lock (mutex) if a"
    assert fact_source("f()", "called by `g()`") == "f() is called by g()"
    assert fact_source("f()", "is `.open` of `struct ops` in `t`") == "f() is .open of struct ops in t"


def test_each_kind_of_fact_has_its_form() -> None:
    assert lock_source("f", "&x->lock", "spinlock") == "f() takes &x->lock (spinlock)"
    assert lock_source("f", "", "RCU read lock") == "f() takes the RCU read lock"
    assert return_source("f", "-EINVAL", "len < 0") == "f() returns -EINVAL if len < 0"
    assert return_source("f", "0") == "f() returns 0"
    assert caller_source("f", "g") == "f() is called by g()"
    assert option_source("FOO", "depends on", "A && B") == "CONFIG_FOO depends on A && B"
    assert option_source("FOO", "selects", "BAR", "BAZ") == "CONFIG_FOO selects BAR if BAZ"
    assert member_source("f", "open", "file_operations", "fops") == "f() is .open of struct file_operations in fops"
    assert member_source("f", "open") == "f() is .open"
