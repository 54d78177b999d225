from __future__ import annotations

from rie.core.arn import FunctionName
from rie.core.function import FunctionConfiguration


def test_a_function_that_says_nothing_has_aws_s_defaults() -> None:
    function = FunctionConfiguration(name=FunctionName("billing"))

    assert (function.timeout, function.memory_size, function.version) == (3.0, 128, "$LATEST")
    assert function.init_timeout == 10.0
