"""What a function returns, and under which condition."""

from __future__ import annotations

import pytest

from tests.features.explain.facts_of import check, explained

RETURNS = ("errno", "return")


def test_direct_returns_have_their_condition() -> None:
    check("""
int f(struct dev *dev, int x)
{
	if (!dev)
		return -EINVAL; //= errno: returns `-EINVAL` if `!dev`
	if (unlikely(x > 3)) {
		return -ERANGE; //= errno: returns `-ERANGE` if `x > 3`
	} else if (x) {
		return 1; //= return: returns `1` if `x` where `x <= 3`
	}
	return 0; //= return: returns `0`
}
""", *RETURNS)  # fmt: skip


def test_the_goto_ladder_gives_what_was_assigned_before_it() -> None:
    check("""
int f(struct dev *dev)
{
	int ret;
	void *p;

	ret = -ENOMEM;
	p = make(dev);
	if (!p)
		goto out; //= errno: returns `-ENOMEM` if `!p`
	ret = start(p);
	if (ret)
		goto err_free; //= return: returns what `start()` returns, unless 0
	ret = -EIO;
	if (check(p) < 0)
		goto err_stop; //= errno: returns `-EIO` if `check(p) < 0`
	return 0; //= return: returns `0`

err_stop:
	stop(p);
err_free:
	unmake(p);
out:
	return ret;
}
""", *RETURNS)  # fmt: skip


def test_a_value_that_is_overwritten_on_every_path_is_not_returned() -> None:
    check("""
int f(int x)
{
	int ret = -EINVAL;

	if (x)
		ret = 1; //= return: returns `1` if `x`
	else
		ret = -EPERM; //= errno: returns `-EPERM` if `!x`
	return ret;
}
""", *RETURNS)  # fmt: skip


def test_a_constant_takes_no_branch_that_its_value_rules_out() -> None:
    check("""
int f(int x)
{
	int ret = 0;

	if (x)
		ret = try(x); //= return: returns what `try()` returns if `x`
	if (ret < 0)
		goto fail; //= return: returns the error of `try()` if `x`
	return 1; //= return: returns `1`
fail:
	return ret;
}
""".replace(" //= return: returns what `try()` returns if `x`", ""), *RETURNS)  # fmt: skip


def test_a_result_that_was_tested_to_be_0_is_0() -> None:
    check("""
int f(struct d *d)
{
	int err = start(d);

	if (err)
		return err; //= return: returns what `start()` returns, unless 0
	if (d->ready)
		goto out; //= return: returns `0` if `d->ready` where `!err`
	err = wait(d);
	if (err)
		err = -EIO; //= errno: returns `-EIO` if `err`
out:
	stop(d);
	return err; //= return: returns `0` if `!err`
}
""", *RETURNS)  # fmt: skip
    check("""
int f(struct d *d)
{
	int err = start(d); //= return: returns what `start()` returns

	if (err)
		warn(d);
	return err;
}
""", *RETURNS)  # fmt: skip
    check("""
struct x *f(void)
{
	struct x *x = make(); //= return: returns what `make()` returns

	if (!x)
		return x; //= return: returns `NULL` if `!x`
	return x;
}
""", *RETURNS)  # fmt: skip


def test_a_goto_to_a_label_that_tests_again_has_both_conditions() -> None:
    check("""
int f(struct d *d)
{
	int ret = 0; //= return: returns `0`

	if (d->dead)
		goto dead;
out:
	unlock(d);
	return ret;
dead:
	if (d->stale)
		goto out; //= return: returns `0` if `d->stale` where `d->dead`
	return 1; //= return: returns `1`
}
""", *RETURNS)  # fmt: skip
    check("""
int f(struct d *d, int n)
{
	int grown = 0;
again:
	if (n < d->max)
		return grown; //= return: returns `0` if `n < d->max`
	if (d->busy) {
		grown = 1;
		goto again; //= return: returns `1` if `n < d->max` where `d->busy`
	}
	return -EMFILE; //= errno: returns `-EMFILE`
}
""", *RETURNS)  # fmt: skip


def test_a_value_that_may_be_replaced_has_the_condition_under_which_it_is_not() -> None:
    check("""
int f(struct d *d, int again)
{
	int err;

	if (!d->ops)
		err = -ENODEV; //= errno: returns `-ENODEV` if `!d->ops` where `!again`
	else
		err = d->ops->set(d); //= return: returns what `d->ops->set()` returns if `d->ops` where `!again`
	if (again) {
		err = set(d);
		if (err)
			return err; //= return: returns what `set()` returns, unless 0 if `again`
	}
	return err; //= return: returns `0` if `!err` where `again`
}
""", *RETURNS)  # fmt: skip


def test_a_constant_is_returned_under_the_condition_of_its_assignment() -> None:
    check("""
int f(struct d *d)
{
	int ret = 0;

	if (!get(d))
		ret = -ENXIO; //= errno: returns `-ENXIO` if `!get(d)`
	unlock(d);
	if (ret)
		return ret;
	return 1; //= return: returns `1`
}
""", *RETURNS)  # fmt: skip
    check("""
int f(struct d *d)
{
	int err = d->id == 3 ? 0 : -EBUSY;
	if (d->bound)
		goto out;
//= return: returns `0` if `d->bound` where `d->id == 3` ; errno: returns `-EBUSY` if `d->bound` where `d->id != 3`
	err = insert(d); //= return: returns what `insert()` returns
out:
	return err;
}
""", *RETURNS)  # fmt: skip


def test_parameters_and_variables_that_a_macro_fills_are_returned() -> None:
    check("""
struct x *f(struct x *x)
{
	if (x->dying)
		x = NULL; //= return: returns `NULL` if `x->dying`
	return x; //= return: returns `x`
}
""", *RETURNS)  # fmt: skip
    check("""
unsigned long f(struct x *x)
{
	unsigned long flags;

	spin_lock_irqsave(&x->lock, flags);
	return flags; //= return: returns `flags`
}
""", *RETURNS)  # fmt: skip


def test_pointers_that_hold_errors() -> None:
    check("""
struct x *f(int n)
{
	struct x *x, *y;

	if (n < 0)
		return ERR_PTR(-EINVAL); //= errno: returns `ERR_PTR(-EINVAL)` if `n < 0`
	x = find(n);
	if (IS_ERR(x))
		return ERR_CAST(x); //= return: returns the error of `find()`
	if (!x)
		return NULL; //= return: returns `NULL` if `!x`
	return x->next; //= return: returns `x->next`
}
""", *RETURNS)  # fmt: skip
    check("""
int f(int n)
{
	struct x *x = find(n);
	int err;

	if (IS_ERR(x)) {
		err = PTR_ERR(x); //= return: returns the error of `find()`
		goto out;
	}
	err = dev_err_probe(x, -ENODEV, "none"); //= errno: returns `-ENODEV`
out:
	return err;
}
""", *RETURNS)  # fmt: skip
    check("""
int f(struct d *d)
{
	d->clk = get(d);
	if (IS_ERR(d->clk))
		return dev_err_probe(d, PTR_ERR(d->clk), "no"); //= return: returns the error of `get()`
	if (d->x)
		return dev_err_probe(d, -EINVAL, "no"); //= errno: returns `-EINVAL` if `d->x`
	return PTR_ERR_OR_ZERO(d->y); //= return: returns 0, or the error in `d->y`
}
""", *RETURNS)  # fmt: skip


def test_switches_loops_and_conditional_expressions() -> None:
    check("""
int f(int cmd, int n)
{
	int i;

	for (i = 0; i < n; i++)
		if (busy(i))
			return -EBUSY; //= errno: returns `-EBUSY` if `busy(i)`
	switch (cmd) {
	case A:
	case B:
		return -EACCES; //= errno: returns `-EACCES` if `cmd: A, B`
	case C:
		return go(n); //= return: returns what `go()` returns if `cmd == C`
	default:
		return -ENOTTY; //= errno: returns `-ENOTTY` if `cmd: default`
	}
	return n ? n : -EAGAIN;
}
""", *RETURNS)  # fmt: skip
    check("""
int f(int n)
{
	return n > 2 ? n : -EAGAIN; //= errno: returns `-EAGAIN` if `n <= 2` ; return: returns `n` if `n > 2`
}
""", *RETURNS)  # fmt: skip


def test_a_label_that_a_macro_is_given_is_reached() -> None:
    check("""
int f(void **p, void *end)
{
	int n;

	decode_32_safe(p, end, n, bad);
	return 0; //= return: returns `0`
bad:
	return -E2BIG; //= errno: returns `-E2BIG`
}
""", *RETURNS)  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        "/* return -EINVAL; */ return x;",
        'log("return -EINVAL"); return x;',
        "x = -EINVAL; x = 1; return y;",
        "int ret = -EINVAL; get_user(ret, p); return ret;",
        "int ret = -EINVAL; fill(&ret); return ret;",
        "int ret = -EINVAL; LOAD(ret); return ret;",
        "int ret = -EINVAL; list_for_each_entry(ret, h, m) { return ret; } return 3;",
        "goto out; return -EINVAL; out: return x;",
        "dev->error = -EINVAL; return x;",
        "return helper(-EINVAL);",
        "int ret = 0; wait(({ if (x) ret = -EINVAL; ret; })); return ret;",
        "return -x;",
    ],
)
def test_what_only_looks_like_an_errno_is_none(body: str) -> None:
    found = explained(f"int f(int x, struct dev *dev)\n{{\n\t{body}\n}}\n")
    assert [fact for fact in found.facts if fact.kind == "errno"] == []


def test_the_table_puts_equal_values_together() -> None:
    found = explained("""
int f(int a, int b)
{
	if (a)
		return -EINVAL;
	if (b)
		return -EINVAL;
	if (a)
		return -EINVAL;
	return 0;
}
""")
    assert [row.value for row in found.returns] == ["`0`", "`-EINVAL`"]
    assert [when.text for when in found.returns[1].when] == ["`a`", "`b`"]
    assert [place.line for place in found.returns[1].when[0].locations] == [4, 8]


def test_many_conditions_of_one_value_are_counted() -> None:
    tests = "".join(f"\tif (x == {at})\n\t\treturn -EINVAL;\n" for at in range(20))
    found = explained(f"int f(int x)\n{{\n{tests}\treturn 0;\n}}\n")
    assert found.returns[1].when[-1].text == "and 15 other conditions"


def test_a_void_function_has_no_return_values() -> None:
    assert explained("void f(int x)\n{\n\tif (x)\n\t\treturn;\n\tg();\n}\n").returns == ()
