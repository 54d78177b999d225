"""The plugin as its users have it: in a pytest run of its own."""

from __future__ import annotations

import uuid

import pytest

from rie.pytest_plugin import LambdaFunction
from rie.worker.process_table import members
from tests.support.raw_http import LIMIT

pytest_plugins = ["pytester"]

APP = """
import uuid

PROCESS = str(uuid.uuid4())

def handler(event, context):
    return {"greeting": f"hello {event['name']}", "process": PROCESS}
"""


@pytest.fixture(autouse=True)
def project(pytester: pytest.Pytester) -> None:
    pytester.makefile(".py", **{"src/app": APP})


def run(pytester: pytest.Pytester, test: str) -> pytest.RunResult:
    """Run a test file in a process of its own, every warning being an error."""
    pytester.makepyfile(test_user=test)
    options = ("-W", "error", "-p", "no:cacheprovider", "-rA")
    return pytester.runpytest_subprocess(*options, timeout=LIMIT)


def test_a_users_test_runs_its_handler(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_greets(lambda_function):
            function = lambda_function("app.handler", task_root="src", timeout=5)

            assert function.invoke({"name": "you"}).json()["greeting"] == "hello you"
        """,
    )

    result.assert_outcomes(passed=1)


def test_all_functions_of_a_test_run_at_once_and_end_with_it(pytester: pytest.Pytester) -> None:
    marker = uuid.uuid4().hex
    result = run(
        pytester,
        """
        def test_one(lambda_function):
            variables = {"NAME": "MARK"}
            functions = [
                lambda_function("app.handler", task_root="src", environment=variables)
                for _ in range(2)
            ]
            told = [each.invoke({"name": "you"}).json()["process"] for each in functions]

            assert len(set(told)) == 2
        """.replace("MARK", marker),
    )

    result.assert_outcomes(passed=1)
    assert not list(members(f"NAME={marker}".encode()))


def test_the_log_of_a_function_is_captured_with_its_test(pytester: pytest.Pytester) -> None:
    result = run(
        pytester,
        """
        def test_fails(lambda_function):
            assert lambda_function("app.handler", task_root="src").invoke({}).json() == "good"
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Captured stdout call*", "START RequestId: *", "*KeyError*"])


def test_a_setting_that_cannot_be_used_fails_the_test_in_one_line(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        def test_settings(lambda_function):
            lambda_function("app.handler", task_root="src", timeout=-1)
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*SettingsError: timeout -1 must be more than 0 seconds"])


def test_a_run_that_does_not_ask_for_it_does_not_load_the_emulator(
    pytester: pytest.Pytester,
) -> None:
    result = run(
        pytester,
        """
        import sys

        def test_nothing_is_loaded():
            loaded = {"rie.emulator", "rie.background", "uvloop", "httptools", "structlog"}
            assert not loaded & set(sys.modules)
        """,
    )

    result.assert_outcomes(passed=1)


def test_the_fixture_is_there_in_this_run_too(
    lambda_function: LambdaFunction, pytester: pytest.Pytester
) -> None:
    function = lambda_function("app.handler", task_root=pytester.path / "src")

    answer = function.invoke({"name": "me"}).json()

    assert isinstance(answer, dict)
    assert answer["greeting"] == "hello me"
