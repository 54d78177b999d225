from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rie.http.buffers import QUIET, BufferPool

SIZE = 1000


def identities(views: list[memoryview]) -> set[int]:
    return {id(view.obj) for view in views}


@settings(deadline=None)  # a busy machine is no failure
@given(st.lists(st.tuples(st.sampled_from(["take", "slice", "drop"]), st.integers(0, 1500))))
def test_a_buffer_in_use_is_never_handed_out(history: list[tuple[str, int]]) -> None:
    pool = BufferPool(size=SIZE, count=3)
    views: list[memoryview] = []

    for verb, number in history:
        if verb == "take":
            buffer = pool.take(number)
            assert len(buffer) >= number
            assert id(buffer) not in identities(views)
            views.append(memoryview(buffer))
            del buffer
        elif views and verb == "slice":
            at = number % len(views)
            views[at] = views[at][1:]  # of the same buffer, which the first view held till now
        elif views:
            del views[number % len(views)]

    assert len(pool._buffers) <= 3


def test_a_buffer_is_used_again_once_nobody_refers_to_it() -> None:
    pool = BufferPool(size=SIZE)
    view = memoryview(pool.take(10))
    first = id(view.obj)
    del view

    assert id(pool.take(10)) == first


def test_a_buffer_that_only_a_slice_refers_to_is_in_use() -> None:
    pool = BufferPool(size=SIZE)
    view = memoryview(pool.take(10))[2:4]

    assert id(pool.take(10)) != id(view.obj)


def test_free_buffers_are_let_go_when_nobody_has_wanted_one_for_long() -> None:
    pool = BufferPool(size=SIZE)
    used, unused = memoryview(pool.take(10)), memoryview(pool.take(10))
    del unused

    assert pool.sweep(100.0)
    assert pool.sweep(100.0 + QUIET)
    assert len(pool._buffers) == 2
    assert pool.sweep(101.0 + QUIET)
    assert [id(buffer) for buffer in pool._buffers] == [id(used.obj)]
    del used
    assert not pool.sweep(102.0 + QUIET)


def test_what_the_pool_has_no_room_for_is_made_to_measure() -> None:
    pool = BufferPool(size=SIZE, count=1)
    taken = pool.take(10)

    assert len(taken) == SIZE
    assert len(pool.take(10)) == 10
    assert len(pool.take(SIZE + 1)) == SIZE + 1
