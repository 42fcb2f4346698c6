"""JSON Patch to the letter: the examples of RFC 6902, appendix A, and RFC 6901, section 5; what is refused; bounds."""

import json
import time
from copy import deepcopy
from typing import Any

import pytest

from fhirmedia.core.errors import Category, Failure
from fhirmedia.r4.json_in import parse_json_array
from fhirmedia.r4.json_patch import OPERATIONS_MAX, equal, read_json_patch

DONE: list[tuple[str, str, str, str]] = [
    ("A.1 adding a member", '{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux"}]', '{"baz":"qux","foo":"bar"}'),
    ("A.2 adding an element", '{"foo":["bar","baz"]}', '[{"op":"add","path":"/foo/1","value":"qux"}]',
     '{"foo":["bar","qux","baz"]}'),
    ("A.3 removing a member", '{"baz":"qux","foo":"bar"}', '[{"op":"remove","path":"/baz"}]', '{"foo":"bar"}'),
    ("A.4 removing an element", '{"foo":["bar","qux","baz"]}', '[{"op":"remove","path":"/foo/1"}]',
     '{"foo":["bar","baz"]}'),
    ("A.5 replacing a value", '{"baz":"qux","foo":"bar"}', '[{"op":"replace","path":"/baz","value":"boo"}]',
     '{"baz":"boo","foo":"bar"}'),
    ("A.6 moving a value", '{"foo":{"bar":"baz","waldo":"fred"},"qux":{"corge":"grault"}}',
     '[{"op":"move","from":"/foo/waldo","path":"/qux/thud"}]',
     '{"foo":{"bar":"baz"},"qux":{"corge":"grault","thud":"fred"}}'),
    ("A.7 moving an element", '{"foo":["all","grass","cows","eat"]}', '[{"op":"move","from":"/foo/1","path":"/foo/3"}]',
     '{"foo":["all","cows","eat","grass"]}'),
    ("A.8 testing", '{"baz":"qux","foo":["a",2,"c"]}',
     '[{"op":"test","path":"/baz","value":"qux"},{"op":"test","path":"/foo/1","value":2}]',
     '{"baz":"qux","foo":["a",2,"c"]}'),
    ("A.10 adding an object", '{"foo":"bar"}', '[{"op":"add","path":"/child","value":{"grandchild":{}}}]',
     '{"foo":"bar","child":{"grandchild":{}}}'),
    ("A.11 ignoring what is not defined", '{"foo":"bar"}', '[{"op":"add","path":"/baz","value":"qux","xyz":123}]',
     '{"foo":"bar","baz":"qux"}'),
    ("A.14 escapes are read in order", '{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":10}]',
     '{"/":9,"~1":10}'),
    ("A.16 adding an array", '{"foo":["bar"]}', '[{"op":"add","path":"/foo/-","value":["abc","def"]}]',
     '{"foo":["bar",["abc","def"]]}'),
    ("adding what is there replaces it", '{"a":1}', '[{"op":"add","path":"/a","value":null}]', '{"a":null}'),
    ("adding at the end by number", '{"a":[1]}', '[{"op":"add","path":"/a/1","value":2}]', '{"a":[1,2]}'),
    ("replacing in an array", '{"a":[1,2]}', '[{"op":"replace","path":"/a/1","value":3}]', '{"a":[1,3]}'),
    ("copying is no sharing", '{"a":{"b":1}}',
     '[{"op":"copy","from":"/a","path":"/c"},{"op":"replace","path":"/c/b","value":2}]', '{"a":{"b":1},"c":{"b":2}}'),
    ("copying into itself", '{"a":{"b":1}}', '[{"op":"copy","from":"/a","path":"/a/c"}]', '{"a":{"b":1,"c":{"b":1}}}'),
    ("moving to the same place", '{"a":1}', '[{"op":"move","from":"/a","path":"/a"}]', '{"a":1}'),
    ("moving to a place that begins alike", '{"a":1,"ab":{}}', '[{"op":"move","from":"/a","path":"/ab/c"}]',
     '{"ab":{"c":1}}'),
    ("the whole document", '{"a":1}',
     ('[{"op":"test","path":"","value":{"a":1}},{"op":"replace","path":"","value":{"b":2}},'
      '{"op":"add","path":"/c","value":3}]'),
     '{"b":2,"c":3}'),
    ("the empty name", '{"":1}', '[{"op":"replace","path":"/","value":2}]', '{"":2}'),
    ("numbers by value", '{"a":1.0}', '[{"op":"test","path":"/a","value":1}]', '{"a":1.0}'),
    ("objects in any order", '{"a":{"x":1,"y":[2]}}', '[{"op":"test","path":"/a","value":{"y":[2],"x":1}}]',
     '{"a":{"x":1,"y":[2]}}'),
    ("no operation", '{"a":1}', "[]", '{"a":1}'),
]  # fmt: skip

NOWHERE: list[tuple[str, str, str]] = [
    ("A.9 a test that fails", '{"baz":"qux"}', '[{"op":"test","path":"/baz","value":"bar"}]'),
    ("A.12 adding to nothing", '{"foo":"bar"}', '[{"op":"add","path":"/baz/bat","value":"qux"}]'),
    ("A.15 text is no number", '{"/":9,"~1":10}', '[{"op":"test","path":"/~01","value":"10"}]'),
    ("true is not 1", '{"a":true}', '[{"op":"test","path":"/a","value":1}]'),
    ("null is not absent", '{"a":1}', '[{"op":"test","path":"/b","value":null}]'),
    ("removing what is not there", '{"a":1}', '[{"op":"remove","path":"/b"}]'),
    ("replacing what is not there", '{"a":1}', '[{"op":"replace","path":"/b","value":1}]'),
    ("moving what is not there", '{"a":1}', '[{"op":"move","from":"/b","path":"/c"}]'),
    ("copying what is not there", '{"a":1}', '[{"op":"copy","from":"/b","path":"/c"}]'),
    ("moving into itself", '{"a":{"b":1}}', '[{"op":"move","from":"/a","path":"/a/b/c"}]'),
    ("past the end", '{"a":[1]}', '[{"op":"add","path":"/a/2","value":1}]'),
    ("the end is nothing to remove", '{"a":[1]}', '[{"op":"remove","path":"/a/-"}]'),
    ("the place behind the last is nothing to replace", '{"a":[1]}', '[{"op":"replace","path":"/a/1","value":2}]'),
    ("a leading zero", '{"a":[1,2]}', '[{"op":"remove","path":"/a/01"}]'),
    ("a sign", '{"a":[1,2]}', '[{"op":"remove","path":"/a/-1"}]'),
    ("digits of another script", '{"a":[1,2]}', '[{"op":"remove","path":"/a/\\u0661"}]'),
    ("an element of a text", '{"a":"xyz"}', '[{"op":"remove","path":"/a/0"}]'),
    ("a member of a text", '{"a":"xyz"}', '[{"op":"add","path":"/a/b","value":1}]'),
    ("the whole is not removed", '{"a":1}', '[{"op":"remove","path":""}]'),
    ("the whole is no text", '{"a":1}', '[{"op":"replace","path":"","value":"x"}]'),
    ("the second of two", '{"a":1}', '[{"op":"remove","path":"/a"},{"op":"remove","path":"/a"}]'),
]  # fmt: skip

MALFORMED = [
    "[1]",
    '[{"path":"/a"}]',
    '[{"op":"swap","path":"/a"}]',
    '[{"op":["add"],"path":"/a"}]',
    '[{"op":"add","path":"/a"}]',
    '[{"op":"remove"}]',
    '[{"op":"remove","path":"a"}]',
    '[{"op":"remove","path":1}]',
    '[{"op":"remove","path":"/a~"}]',
    '[{"op":"remove","path":"/a~2"}]',
    '[{"op":"move","path":"/a"}]',
    '[{"op":"move","path":"/a","from":null}]',
    "{}",
    '"x"',
    "[",
    '[{"op":"add","op":"remove","path":"/a","value":1}]',
]


def applied(document: str, patch: str) -> Any:
    return read_json_patch(parse_json_array(patch.encode())).apply(json.loads(document))


@pytest.mark.parametrize(("document", "patch", "expected"), [pytest.param(*row[1:], id=row[0]) for row in DONE])
def test_done(document: str, patch: str, expected: str) -> None:
    assert applied(document, patch) == json.loads(expected)


@pytest.mark.parametrize(("document", "patch"), [pytest.param(*row[1:], id=row[0]) for row in NOWHERE])
def test_refused(document: str, patch: str) -> None:
    with pytest.raises(Failure) as refused:
        applied(document, patch)
    assert refused.value.category is Category.UNPROCESSABLE
    assert "qux" not in str(refused.value)


@pytest.mark.parametrize("patch", MALFORMED)
def test_malformed(patch: str) -> None:
    with pytest.raises(Failure) as refused:
        applied("{}", patch)
    assert refused.value.category is Category.INVALID


def test_the_refusal_names_the_operation() -> None:
    with pytest.raises(Failure, match=r"Operation 2 \(remove\) of the patch has a path that leads to nothing"):
        applied('{"a":1}', '[{"op":"test","path":"/a","value":1},{"op":"remove","path":"/b"}]')


def test_a_patch_may_be_applied_again() -> None:
    patch = read_json_patch(
        [{"op": "add", "path": "/a", "value": {"b": []}}, {"op": "add", "path": "/a/b/-", "value": 1}]
    )
    assert patch.apply({}) == patch.apply({}) == {"a": {"b": [1]}}
    replacing = read_json_patch(
        [{"op": "replace", "path": "", "value": {"a": [{}]}}, {"op": "replace", "path": "/a/0", "value": {"c": {}}},
         {"op": "add", "path": "/a/0/c/d", "value": 1}]
    )  # fmt: skip
    assert replacing.apply({}) == replacing.apply({}) == {"a": [{"c": {"d": 1}}]}


def test_as_many_operations_as_allowed_and_no_more() -> None:
    one: Any = {"op": "test", "path": "", "value": {}}
    assert read_json_patch([deepcopy(one) for _ in range(OPERATIONS_MAX)]).apply({}) == {}
    with pytest.raises(Failure) as refused:
        read_json_patch([one] * (OPERATIONS_MAX + 1))
    assert refused.value.category is Category.TOO_LARGE


def test_copies_that_double_are_stopped() -> None:
    doubling: Any = [{"op": "copy", "from": "/a", "path": "/a/-"} for _ in range(60)]
    begun = time.process_time()
    with pytest.raises(Failure) as refused:
        read_json_patch(doubling).apply({"a": ["x" * 1000]})
    assert refused.value.category in (Category.TOO_COSTLY, Category.UNPROCESSABLE)
    wide: Any = [{"op": "copy", "from": "/a", "path": f"/b{n}"} for n in range(OPERATIONS_MAX)]
    with pytest.raises(Failure) as refused:
        read_json_patch(wide).apply({"a": ["x" * 100_000]})
    assert refused.value.category is Category.TOO_COSTLY
    assert time.process_time() - begun < 5


@pytest.mark.parametrize("value", [{"n" * 10_000: None}, 10**3999], ids=["a long name", "a long number"])
def test_names_and_numbers_count_when_they_are_copied(value: Any) -> None:
    copies: Any = [{"op": "copy", "from": "/a", "path": f"/b{n}"} for n in range(999)]
    with pytest.raises(Failure) as refused:
        read_json_patch(copies).apply({"a": value})
    assert refused.value.category is Category.TOO_COSTLY


def test_a_patch_that_nests_without_end_is_refused() -> None:
    deeper: Any = [{"op": "add", "path": "/a" * (n + 1), "value": {}} for n in range(60)]
    with pytest.raises(Failure) as refused:
        read_json_patch(deeper).apply({})
    assert refused.value.category is Category.UNPROCESSABLE


def test_equality_knows_kinds() -> None:
    assert equal({"a": [1, "x", None, True]}, {"a": [1, "x", None, True]})
    assert not equal([1], [1, 2])
    assert not equal({"a": 1}, {"b": 1})
    assert not equal({"a": [False]}, {"a": [0]})
    assert not equal([], {})
