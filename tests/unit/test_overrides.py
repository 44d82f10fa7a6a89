"""What we override of other programs' classes can be called as they call it.

Celery, kombu, billiard and redis-py promise for few of these names to keep them. So their versions
are pinned, and this compares each signature with that of the version that is installed.
"""

import importlib
import inspect
import pkgutil

import pytest
import tornado.web

import backend_worker

OTHERS = ("celery", "kombu", "billiard", "redis", "tornado")


def modules():
    for found in pkgutil.walk_packages(backend_worker.__path__, "backend_worker."):
        if not found.name.endswith("__main__"):
            yield importlib.import_module(found.name)


def overrides():
    """Yield each function of a class of ours together with that of others which it replaces."""
    for module in modules():
        for cls in vars(module).values():
            if not inspect.isclass(cls) or cls.__module__ != module.__name__:
                continue
            for name, ours in vars(cls).items():
                for base in cls.__mro__[1:]:
                    if name in vars(base) and name not in {"__init__", "__module__", "__doc__"}:
                        theirs = vars(base)[name]
                        if theirs is tornado.web.RequestHandler.initialize:
                            break  # declared as taking anything: routes name its arguments
                        if base.__module__.split(".")[0] in (*OTHERS, "backend_worker"):
                            yield cls, name, ours, theirs
                        break


def plain(function):
    return getattr(function, "__func__", function)


def ways_to_call(signature):
    """Return arguments of calls that a function takes: few, all by place, the rest by name."""
    few, by_place, by_name = [], [], {}
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            by_name[parameter.name] = None
        elif parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}:
            by_place.append(None)
            if parameter.default is parameter.empty:
                few.append(None)
            else:
                by_name[parameter.name] = None
    required = {
        parameter.name: None
        for parameter in signature.parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
    }
    only = {
        name: value
        for name, value in by_name.items()
        if signature.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    }
    return [(few, required), (by_place, only), (few, by_name)]


FOUND = list(overrides())


def test_there_is_something_to_compare():
    names = {f"{cls.__name__}.{name}" for cls, name, _, _ in FOUND}
    assert {"SteadyPool.destroy_queues", "TolerantChannel._brpop_read"} <= names
    assert {"LibraryAutoscaler.maybe_scale", "PipelineTask.retry"} <= names


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        pytest.param(plain(ours), plain(theirs), id=f"{cls.__name__}.{name}")
        for cls, name, ours, theirs in FOUND
        if inspect.isfunction(plain(ours))
    ],
)
def test_it_can_be_called_as_what_it_replaces(ours, theirs):
    assert inspect.isfunction(theirs), f"{theirs!r} is no function any more"
    signature = inspect.signature(ours)
    for by_place, by_name in ways_to_call(inspect.signature(theirs)):
        signature.bind(*by_place, **by_name)
