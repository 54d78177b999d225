"""What `rie run` makes of flags, variables and files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rie.commands.run import OPTIONS, rie_run_settings
from rie.options import UsageError
from rie.settings import Settings, SettingsError

if TYPE_CHECKING:
    from rie.options import Option

# A value for each option: what is written, the field that it sets, what that then holds.
EXAMPLES: dict[str, tuple[str, str, object]] = {
    "handler": ("app.main", "handler", "app.main"),
    "function-name": ("orders", "function_name", "orders"),
    "function-version": ("7", "function_version", "7"),
    "timeout": ("1.5", "timeout", 1.5),
    "memory-size": ("512", "memory_size", 512),
    "region": ("eu-west-1", "region", "eu-west-1"),
    "account-id": ("111122223333", "account_id", "111122223333"),
    "task-root": ("/", "task_root", Path("/")),
    "code": ("f.zip", "code", Path("/f.zip")),
    "layer": ("a.zip", "layers", (Path("/a.zip"),)),
    "env": ("A=1=2", "environment", {"A": "1=2"}),
    "env-file": ("/dev/null", "environment", {}),
    "pass-env": ("HOME", "environment", {"HOME": "/home/me"}),
    "init": ("lazy", "init", "lazy"),
    "init-timeout": ("2", "init_timeout", 2.0),
    "environments": ("4", "environments", 4),
    "on-busy": ("throttle", "on_busy", "throttle"),
    "idle-timeout": ("60", "idle_timeout", 60.0),
    "max-lifetime": ("3600", "max_lifetime", 3600.0),
    "tmp-size": ("1024", "tmp_size", 1024),
    "writable": ("true", "writable", True),
    "user": ("0:0", "user", (0, 0)),
    "network": ("isolated", "network", "isolated"),
    "egress": ("true", "egress", True),
    "cpu-scaling": ("true", "cpu_scaling", True),
    "freeze": ("true", "freeze", True),
    "sandbox": ("true", "sandbox", True),
    "listen": ("127.0.0.1:0", "listen", ("127.0.0.1", 0)),
    "runtime-api": ("127.0.0.1:9001", "runtime_api", ("127.0.0.1", 9001)),
    "ready-file": ("ready", "ready_file", Path("/ready")),
    "forward-content-type": ("true", "forward_content_type", True),
    "log-format": ("json", "log_format", "JSON"),
    "application-log-level": ("debug", "application_log_level", "DEBUG"),
    "system-log-level": ("warn", "system_log_level", "WARN"),
    "log-group": ("/mine", "log_group", "/mine"),
    "log-dir": ("/var/log/rie", "log_dir", Path("/var/log/rie")),
    "log-level": ("WARN", "log_level", "warning"),
    "diary-format": ("JSON", "diary_format", "json"),
}
EACH_OPTION = pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)


def run_settings(
    *argv: str, environ: dict[str, str] | None = None, cwd: Path = Path("/")
) -> Settings:
    return rie_run_settings(argv, environ or {}, cwd)


@EACH_OPTION
def test_each_option_works_as_a_flag(option: Option) -> None:
    written, field, value = EXAMPLES[option.name]
    flag = (f"--{option.name}",) if option.switch else (f"--{option.name}", written)

    settings = run_settings(*flag, "--", "x", environ={"HOME": "/home/me"})

    assert getattr(settings, field) == value


@EACH_OPTION
def test_each_option_works_as_a_variable(option: Option) -> None:
    written, field, value = EXAMPLES[option.name]

    for name in option.all_variables:
        settings = run_settings(environ={"HOME": "/home/me", name: written})
        assert getattr(settings, field) == value


def test_every_field_of_settings_but_the_wiring_has_an_option() -> None:
    ours = {"command", "working_directory", "drop_in", "notices"}
    fields = {field for _, field, _ in EXAMPLES.values()}

    assert set(Settings.__dataclass_fields__) - ours == fields


def test_without_options_the_defaults_are_those_of_settings(tmp_path: Path) -> None:
    assert run_settings(cwd=tmp_path) == Settings(task_root=tmp_path.resolve())


def test_the_command_is_everything_from_the_first_argument_on() -> None:
    settings = run_settings("--timeout=1", "python", "-m", "bootstrap", "app.handler")

    assert settings.command == ("python", "-m", "bootstrap", "app.handler")


@pytest.mark.parametrize(
    ("argv", "handler"),
    [
        (("--", "python", "-m", "bootstrap", "app.handler"), "app.handler"),
        (("--", "./bootstrap"), None),
        ((), None),
        (("--handler", "mine", "--", "python", "app.py"), "mine"),
    ],
)
def test_the_last_of_two_or_more_words_is_the_handler_unless_one_is_named(
    argv: tuple[str, ...], handler: str | None
) -> None:
    assert run_settings(*argv).handler == handler


def test_the_function_gets_credentials_and_nothing_else_of_the_shell() -> None:
    credentials = {
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
        "AWS_SESSION_TOKEN": "token",
    }

    settings = run_settings(
        environ=credentials | {"HOME": "/home/me", "AWS_PROFILE": "x", "RIE_TIMEOUT": "1"}
    )

    assert settings.environment == credentials


def test_the_region_is_that_of_the_shell() -> None:
    shell = {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-2"}

    assert run_settings(environ=shell).region == "eu-west-1"
    assert run_settings(environ=shell | {"AWS_REGION": ""}).region == "eu-west-2"
    assert run_settings("--region=eu-north-1", environ=shell).region == "eu-north-1"


def test_variables_come_from_the_shell_then_files_then_names_then_values(tmp_path: Path) -> None:
    Path(tmp_path, "one.env").write_text("AWS_ACCESS_KEY_ID=file\nA=file\nB=file\nC=file\n")

    settings = run_settings(
        "--env=C=value",
        "--env-file=one.env",
        "--pass-env=B",
        "--pass-env=C",
        "--pass-env=NOT_SET",
        cwd=tmp_path,
        environ=dict.fromkeys(("AWS_ACCESS_KEY_ID", "A", "B", "C"), "shell"),
    )

    assert settings.environment == {
        "AWS_ACCESS_KEY_ID": "file",
        "A": "file",
        "B": "shell",
        "C": "value",
    }


def test_a_file_of_variables_has_comments_quotes_and_exports(tmp_path: Path) -> None:
    Path(tmp_path, ".env").write_text(
        "# a comment\n\nA=1\nexport B=two words\nC=\"quoted # not a comment\"\nD='x'\nE=\nF='\n"
    )

    assert run_settings("--env-file=.env", cwd=tmp_path).environment == {
        "A": "1",
        "B": "two words",
        "C": "quoted # not a comment",
        "D": "x",
        "E": "",
        "F": "'",
    }


def test_a_bad_line_in_a_file_is_named_by_its_number(tmp_path: Path) -> None:
    Path(tmp_path, ".env").write_text("A=1\nnonsense\n")

    with pytest.raises(UsageError, match=r"\.env:2: 'nonsense' must be NAME=VALUE$"):
        run_settings("--env-file=.env", cwd=tmp_path)


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    Path(tmp_path, "binary").write_bytes(b"A=\xff")

    with pytest.raises(UsageError, match="cannot be read: No such file or directory"):
        run_settings("--env-file=nowhere", cwd=tmp_path)
    with pytest.raises(UsageError, match="cannot be read: it is not UTF-8"):
        run_settings("--env-file=binary", cwd=tmp_path)


@pytest.mark.parametrize(
    "name", ["AWS_REGION", "LAMBDA_TASK_ROOT", "AWS_LAMBDA_RUNTIME_API", "_HANDLER", "_X"]
)
def test_what_lambda_sets_cannot_be_set_by_hand(name: str) -> None:
    with pytest.raises(UsageError, match="is set by Lambda"):
        run_settings(f"--env={name}=x")


@pytest.mark.parametrize("written", ["A", "=x", "A B=x", "1A=x", "Ä=x"])
def test_what_is_no_assignment_is_refused(written: str) -> None:
    with pytest.raises(UsageError, match=r"^--env .* must (be NAME=VALUE|name a variable)"):
        run_settings("--env", written)


def test_folders_and_files_are_found_from_the_current_folder(tmp_path: Path) -> None:
    Path(tmp_path, "app").mkdir()

    settings = run_settings(
        "--task-root=app", "--log-dir=logs", "--ready-file=run/ready", cwd=tmp_path
    )

    assert settings.task_root == tmp_path.resolve() / "app"
    assert settings.function_name == "app"
    assert (settings.log_dir, settings.ready_file) == (tmp_path / "logs", tmp_path / "run/ready")


@pytest.mark.parametrize("source", ["--env", "--env-file", "--pass-env"])
def test_more_variables_than_aws_takes_are_told_of_with_their_size(
    source: str, tmp_path: Path
) -> None:
    value = "é" * 2048  # two bytes each
    (tmp_path / "env").write_text(f"A={value}")
    given = {"--env": f"A={value}", "--env-file": "env", "--pass-env": "A"}[source]

    settings = run_settings(source, given, environ={"A": value}, cwd=tmp_path)

    (notice,) = settings.notices
    assert notice == (
        "the function's variables take 4097 bytes, names and values together; "
        "AWS refuses more than 4096"
    )


def test_as_many_variables_as_aws_takes_are_nothing_to_tell() -> None:
    replaced = ("--env", "AB=" + "x" * 9000, "--env", "AB=" + "x" * 4094)

    assert run_settings(*replaced, environ={"AWS_SESSION_TOKEN": "t" * 500}).notices == ()


def test_a_zero_byte_in_a_file_of_variables_is_refused(tmp_path: Path) -> None:
    (tmp_path / "env").write_bytes(b"GOOD=1\nBAD=\0\n")

    with pytest.raises(UsageError, match=r"env:2: 'BAD=\\x00' holds a zero byte"):
        run_settings("--env-file=env", cwd=tmp_path)


def test_a_task_root_that_is_no_folder_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^RIE_TASK_ROOT '.*/nowhere' is not a folder$"):
        run_settings(cwd=tmp_path, environ={"RIE_TASK_ROOT": "nowhere"})


@pytest.mark.parametrize(
    ("argv", "environ", "message"),
    [
        (("--timeout=0",), {}, "--timeout '0' must be more than 0 seconds"),
        (("--timeout=901",), {}, "--timeout '901' must be at most 900 seconds"),
        ((), {"RIE_TIMEOUT": "901"}, "RIE_TIMEOUT '901' must be at most 900 seconds"),
        ((), {"AWS_REGION": "Paris!"}, "AWS_REGION 'Paris!' must be like us-east-1"),
        (
            ("--runtime-api=127.0.0.1:8080",),
            {},
            "--runtime-api '127.0.0.1:8080' is the Invoke API's address; choose another",
        ),
    ],
)
def test_a_value_out_of_bounds_is_named_as_it_was_given(
    argv: tuple[str, ...], environ: dict[str, str], message: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        run_settings(*argv, environ=environ)

    assert str(caught.value) == message
