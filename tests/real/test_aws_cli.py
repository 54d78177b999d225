"""The AWS CLI, as a user's other way in."""

from __future__ import annotations

import base64
import json
import subprocess
from typing import TYPE_CHECKING

from tests.real.emulator import emulator, user_variables
from tests.real.runtimes import CACHE, PYTHON, require

if TYPE_CHECKING:
    from pathlib import Path

AWS = CACHE / "awscli/bin/aws"


def test_the_aws_cli_gets_the_answer_and_the_log(tmp_path: Path) -> None:
    require(str(AWS))
    event = {"do": "log", "lines": ["seen by the CLI"]}
    (tmp_path / "event.json").write_text(json.dumps(event))
    command = [
        *(str(AWS), "lambda", "invoke", "--function-name", "f", "--log-type", "Tail"),
        *("--payload", "fileb://event.json", "--output", "json", "out.json"),
    ]
    variables = {
        **user_variables(),
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }

    with emulator(
        [*PYTHON.command, PYTHON.kit],
        task_root=PYTHON.task_root,
        directory=tmp_path,
        options=("--function-name", "f"),
    ) as function:
        run = subprocess.run(
            [*command, "--endpoint-url", function.url],
            cwd=tmp_path,
            env=variables,
            check=True,
            capture_output=True,
        )

    printed = json.loads(run.stdout)
    assert (printed["StatusCode"], printed["ExecutedVersion"]) == (200, "$LATEST")
    assert b"seen by the CLI\n" in base64.b64decode(printed["LogResult"])
    assert (tmp_path / "out.json").read_bytes() == b"null"
