"""What people write, read by mypy and never run. A comment names the codes that mypy gives a line that is wrong."""

from datetime import timedelta

from flowkiln import Flow, Parameter, Task, case, flatten, mapped, task, unmapped
from flowkiln.tasks.control_flow import ifelse, merge, switch


@task
def add(x: int, y: int = 1) -> int:
    return x + y


@task(max_retries=2, retry_delay=timedelta(seconds=1), name="shown", tags=["a"], retry_backoff=2.0)
def show(text: str, *, loud: bool = False) -> str:
    return text


@task
def total(xs: list[int]) -> int:
    return sum(xs)


@task
def nothing() -> None: ...


@task(max_retrys=2)  # error: call-overload, untyped-decorator
def misspelt() -> None: ...


@task(timeout="5m")  # error: call-overload, untyped-decorator
def mistyped() -> None: ...


class Sub(Task):
    def run(self, x: int) -> int:
        return x


by_call = task(lambda x: x, name="by_call")
task(len, nmae="x")  # error: call-overload

with Flow("right") as flow:
    number = Parameter("number", default=1)
    one = add(1, 2)
    two = add(one, y=number)
    add(Sub()(1), one + 1)
    add(one > 1, one[0])
    add(merge(one, two))
    show("a", loud=True)
    show(one)
    total([1, 2])
    total(add.map([1, 2], unmapped(3)))
    add.map([1, 2], y=[3, 4])
    total(flatten(one))
    add(mapped([1, 2]), 5)
    nothing()
    add(1, upstream_tasks=[one])
    add([1, 2], mapped=True)
    add(1, task_args={"name": "renamed"})
    add(1, flow=flow)
    add.copy().bind(1, 2)
    add.bind(1, upstream_tasks=[two], mapped=False)
    one.set_upstream(two)
    two.set_downstream(one)
    with case(one, 1):
        nothing()
    ifelse(one > 1, two, nothing)
    switch(one, {1: two})
    renamed: Task = show("b")
    assert renamed.name

    add(1, "two", 3)  # error: call-overload
    add(1, "two")  # error: call-overload
    add()  # error: call-overload
    add(1, z=3)  # error: call-overload
    add(1, 2, 3)  # error: call-overload
    show("a", True)  # error: call-overload
    show("a", lod=True)  # error: call-overload
    nothing(1)  # error: call-overload
    add.bind("x")  # error: call-overload

state = flow.run()
assert state.result[one].is_successful()
plain: int = add.run(1, 2)
add.run("x")  # error: arg-type
text: str = add.run(1)  # error: assignment
