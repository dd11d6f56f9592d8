"""Which lock protects what, in the words of comments."""

from __future__ import annotations

import pytest

from kexpert.features.ask.ask import ask
from tests.support.memory_view import MemoryView, files_of

VIEW = MemoryView(files_of("""\
//- include/linux/box.h
/**
 * struct box - A box.
 * @key_lock: Protects @key and @spare_key.
 * @key: opens it
 */
struct box {
	spinlock_t key_lock;
	int key;
	int spare_key;
	unsigned long flags;	/* protected by state_lock */
	/* protects lid_state */
	struct mutex lid;
	int lid_state;
	int free;	/* anybody may write it */
};
//- fs/box.c
/*
 * Locking:
 *
 * box->key_lock protects:
 *   box->key, box_count
 * box_list_lock protects:
 *   box_list, box->next_box
 */
static int box_count;
struct list_head box_list;
int turn(struct box *box) { return box->key; }
//- drivers/other.c
struct other { int key; };
/* other->lock protects other->key */
int use(struct other *other, struct box *box) { return other->key + box->key; }
"""))


@pytest.mark.parametrize(("question", "answer"), [
    ("Which lock protects box->key?",
     "box->key_lock protects: box->key, box_count [1]. @key_lock: Protects @key and @spare_key [2]."),
    ("which lock protects spare_key in struct box?", "@key_lock: Protects @key and @spare_key [1]."),
    ("what protects flags of struct box", "flags: protected by state_lock [1]."),
    ("what protects lid_state?", "lid: protects lid_state [1]."),
    ("By what is box_list protected?", "box_list_lock protects: box_list, box->next_box [1]."),
    ("which lock protects other->key?", "other->lock protects other->key [1]."),
])  # fmt: skip
def test_comments_say_which_lock_protects_it(question: str, answer: str) -> None:
    found = ask(VIEW, question)
    assert (found.text, found.origin) == (answer, "facts")


@pytest.mark.parametrize(
    "question", ["which lock protects box->free?", "what protects the seas?", "what protects no_such_name"]
)
def test_nothing_is_said_where_no_comment_says_it(question: str) -> None:
    assert ask(VIEW, question).origin == "sources"
