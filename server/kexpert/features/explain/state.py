"""State that a function writes: members of what it is given, and globals. Locals are no state.

A member counts if its expression begins with a parameter, a global of the file, or a local pointer that was made from
these by members or by ``container_of`` and the like.
"""

from __future__ import annotations

from dataclasses import dataclass

from tree_sitter import Node

from kexpert.core.c.tokens import Tokens
from kexpert.core.symbols import Kind
from kexpert.features.explain.body import Body, declared_name, walk
from kexpert.features.explain.explanation import Fact, FactKind, Location, Statement, as_code, listed
from kexpert.features.explain.flow import Flow
from kexpert.features.semantics.type_inference import Types
from kexpert.view import View

#: Calls that give another view of the object that they are given, with the index of that argument.
VIEWS = {
    "container_of": 0, "dev_get_drvdata": 0, "pci_get_drvdata": 0, "platform_get_drvdata": 0, "netdev_priv": 0,
    "i2c_get_clientdata": 0, "spi_get_drvdata": 0, "usb_get_intfdata": 0, "file_inode": 0, "d_inode": 0,
    "to_platform_device": 0, "dev_get_platdata": 0, "iio_priv": 0, "hw_priv": 0, "shost_priv": 0, "from_timer": 1,
    "inet_sk": 0, "tcp_sk": 0, "sock_net": 0, "dev_net": 0, "list_first_entry": 0, "list_entry": 0,
}  # fmt: skip
#: Macros and functions that write to one of their arguments, with its index.
WRITERS = {
    "WRITE_ONCE": 0, "rcu_assign_pointer": 0, "smp_store_release": 0, "set_bit": 1, "clear_bit": 1, "__set_bit": 1,
    "__clear_bit": 1, "change_bit": 1, "test_and_set_bit": 1, "test_and_clear_bit": 1, "list_add": 1,
    "list_add_tail": 1, "list_del": 0, "list_del_init": 0, "list_move": 0, "list_move_tail": 0, "INIT_LIST_HEAD": 0,
    "atomic_inc": 0, "atomic_dec": 0, "atomic_set": 0, "atomic_add": 1, "atomic_sub": 1, "atomic_long_inc": 0,
    "atomic_long_dec": 0, "atomic_long_set": 0, "atomic_long_add": 1, "atomic_long_sub": 1, "atomic64_inc": 0,
    "atomic64_set": 0, "atomic64_add": 1, "refcount_set": 0, "RCU_INIT_POINTER": 0, "list_add_rcu": 1,
    "list_add_tail_rcu": 1, "list_del_rcu": 0, "hlist_add_head": 1, "hlist_del": 0, "hlist_del_init": 0,
}  # fmt: skip
_MAX_TYPES = 12  # members whose struct is looked up
_MAX_PASSES = 3


@dataclass(frozen=True, slots=True)
class Write:
    """A write to a member or a global, as written; ``struct`` where the member's owner is known."""

    target: str
    member: str
    struct: str
    line: int


def writes(view: View, body: Body, flow: Flow) -> list[Write]:
    """Every write to state, in the order of the text."""
    origins = set(body.parameters) | _views(body)
    globals_ = _globals(view, body)
    types = Types(view, body.source)
    cache: dict[str, str] = {}
    found: list[Write] = []
    for node in walk(body.root) if body.root is not None else ():
        target = _written(body, node)
        if target is None:
            continue
        while target.type in ("parenthesized_expression", "pointer_expression"):
            inner = target.child_by_field_name("argument")
            if inner is None and target.named_child_count != 1:
                break
            target = inner if inner is not None else target.named_children[0]
        member, owner, base = _taken_apart(body, target)
        if base is None:
            continue
        name = body.text(base)
        if base == target:
            if name in globals_ and name not in body.locals:
                found.append(Write(name, "", "", body.line(target)))
            continue
        known = name in origins or (name in globals_ and name not in body.locals)
        if not known or member is None or owner is None:
            continue
        if name in body.parameters and not _is_pointer_path(target, base):
            continue  # a member of a struct passed by value
        struct = _struct_of(types, body, owner, cache) if len(cache) < _MAX_TYPES else ""
        found.append(Write(body.shown(target, 60), body.text(member), struct, body.line(target)))
    return found


def _written(body: Body, node: Node) -> Node | None:
    if node.type == "assignment_expression":
        return node.child_by_field_name("left")
    if node.type == "update_expression":
        return node.child_by_field_name("argument")
    if node.type == "call_expression" and (call := body.call(node)) and not call.member:
        at = WRITERS.get(call.name)
        if at is not None and at < len(call.arguments):
            return call.arguments[at]
    return None


def _taken_apart(body: Body, target: Node) -> tuple[Node | None, Node | None, Node | None]:
    """(last member, the expression that it is a member of, the name at the beginning) of ``a->b[i].c``."""
    member: Node | None = None
    owner: Node | None = None
    node = target
    for _ in range(30):
        if node.type == "field_expression":
            inner = node.child_by_field_name("argument")
            if member is None:
                member, owner = node.child_by_field_name("field"), inner
        elif node.type == "subscript_expression":
            inner = node.child_by_field_name("argument")
        elif node.type == "parenthesized_expression" and node.named_child_count == 1:
            inner = node.named_children[0]
        elif node.type == "identifier":
            return member, owner, node
        else:
            return None, None, None
        if inner is None:
            return None, None, None
        node = inner
    return None, None, None


def _is_pointer_path(target: Node, base: Node) -> bool:
    """Whether the path from a name goes through ``->`` or ``[]``."""
    node = base
    while node != target and node.parent is not None:
        node = node.parent
        if node.type == "subscript_expression":
            return True
        operator = node.child_by_field_name("operator") if node.type == "field_expression" else None
        if operator is not None and operator.type == "->":
            return True
    return False


def _views(body: Body) -> set[str]:
    """Local pointers that lead to what the function was given, each assigned once."""
    values: dict[str, list[Node]] = {}
    for node in walk(body.root) if body.root is not None else ():
        if node.type == "init_declarator":
            name, value = declared_name(node), node.child_by_field_name("value")
            is_pointer = (declarator := node.child_by_field_name("declarator")) is not None and (
                declarator.type == "pointer_declarator"
            )
            if name is not None and value is not None and is_pointer:
                values.setdefault(body.text(name), []).append(value)
        elif node.type == "assignment_expression":
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if left is not None and right is not None and left.type == "identifier":
                values.setdefault(body.text(left), []).append(right)
    known = set(body.parameters)
    found: set[str] = set()
    for _ in range(_MAX_PASSES):
        once = {name: given[0] for name, given in values.items() if len(given) == 1 and name in body.locals}
        new = {name for name, value in once.items() if name not in found and _leads_to(body, value, known | found)}
        if not new:
            break
        found |= new
    return found


def _leads_to(body: Body, value: Node, known: set[str]) -> bool:
    for _ in range(12):
        if value.type == "call_expression":
            call = body.call(value)
            at = VIEWS.get(call.name) if call and not call.member else None
            if call is None or at is None or at >= len(call.arguments):
                return False
            value = call.arguments[at]
            if value.type == "identifier":
                return body.text(value) in known
        elif value.type == "field_expression":
            inner = value.child_by_field_name("argument")
            if inner is None:
                return False
            if inner.type == "identifier":
                return body.text(inner) in known
            value = inner
        elif value.type in ("cast_expression", "parenthesized_expression", "pointer_expression"):
            inner = value.child_by_field_name("value") or value.child_by_field_name("argument")
            if inner is None and value.named_child_count == 1:
                inner = value.named_children[0]
            if inner is None:
                return False
            value = inner
        else:
            return False
    return False


def _globals(view: View, body: Body) -> set[str]:
    """Variables of the file itself."""
    symbols = view.symbols_in(body.path)
    return {symbol.name for symbol in symbols if symbol.kind in (Kind.VARIABLE, Kind.DECLARATION)}


def _struct_of(types: Types, body: Body, owner: Node, cache: dict[str, str]) -> str:
    """"struct foo" for the expression that a member belongs to; "" where its type is not known."""
    key = body.text(owner)
    if key not in cache:
        offset = body.offset(owner)
        tokens = Tokens(body.source.data, offset, offset + (owner.end_byte - owner.start_byte))
        found = types.at(tokens, 0, len(tokens), offset)
        resolved = types.resolved(found) if found is not None else None
        tag = resolved.tag if resolved is not None and resolved.keyword == "struct" else ""
        cache[key] = f"struct {tag}" if tag else ""
    return cache[key]


def state_facts(body: Body, found: list[Write]) -> list[Fact]:
    facts = (Fact(FactKind.STATE, f"writes {write_words(write)}", body.path, write.line) for write in found)
    return list(dict.fromkeys(facts))


def write_words(write: Write) -> str:
    """A write in words: ``x->count`` (``struct foo``), the global ``nr``."""
    if not write.member:
        return f"the global {as_code(write.target)}"
    return as_code(write.target) + (f" ({as_code(write.struct)})" if write.struct else "")


def state_statements(body: Body, found: list[Write]) -> list[Statement]:
    """A sentence for each struct, and for the globals."""
    groups: dict[str, dict[str, list[Location]]] = {}
    for write in found:
        group = groups.setdefault(write.struct if write.member else "globals", {})
        group.setdefault(as_code(write.target), []).append(Location(body.path, write.line))
    statements = []
    for struct, members in groups.items():
        places = tuple(dict.fromkeys(place for each in members.values() for place in each))[:6]
        names = listed(list(members), 6)
        if struct == "globals":
            statements.append(Statement(f"Writes the global{'s' * (len(members) > 1)} {names}", places))
        else:
            of = f" of {as_code(struct)}" if struct else ""
            statements.append(Statement(f"Writes {names}{of}", places))
    return statements


