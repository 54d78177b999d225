"""The reading of command lines and variables, with a table of the tests' own."""

from __future__ import annotations

import pytest

from rie.options import (
    BadValueError,
    HelpWanted,
    Option,
    Reading,
    UsageError,
    VersionWanted,
    address,
    boolean,
    choice,
    explain,
    read,
    seconds,
    text,
    whole_number,
)

TABLE = (
    Option(name="size", parse=whole_number, metavar="N", help="How big.", default="1"),
    Option(name="max-age", parse=seconds, metavar="SECONDS", help="How old.", aliases=("age",)),
    Option(name="loud", parse=boolean, switch=True, help="Shout."),
    Option(name="tag", parse=text, metavar="T", help="A tag.", repeatable=True, separator=","),
    Option(name="place", parse=text, metavar="P", help="Where.", variables=("PLACE", "WHERE")),
    Option(name="secret", parse=text, metavar="S", help="Not a variable.", variable=""),
)


def reading(*argv: str, interspersed: bool = False, **environ: str) -> Reading:
    return read(TABLE, argv, environ, interspersed=interspersed)


@pytest.mark.parametrize("argv", [("--size", "3"), ("--size=3",)])
def test_a_value_follows_its_flag_or_an_equals_sign(argv: tuple[str, ...]) -> None:
    assert reading(*argv).values() == {"size": 3}


def test_a_value_may_hold_equals_signs_and_be_negative() -> None:
    assert reading("--place=a=b", "--size", "-3").values() == {"place": "a=b", "size": -3}


def test_an_empty_value_is_a_value() -> None:
    with pytest.raises(UsageError, match="--place '' must not be empty"):
        reading("--place=")


def test_the_last_of_two_values_wins() -> None:
    assert reading("--size=1", "--size=2").values() == {"size": 2}


def test_a_repeatable_option_keeps_them_all_in_order() -> None:
    assert reading("--tag=a", "--tag", "b").values() == {"tag": ("a", "b")}


@pytest.mark.parametrize(("flag", "value"), [("--loud", True), ("--no-loud", False)])
def test_a_switch_is_on_or_off(flag: str, *, value: bool) -> None:
    assert reading(flag).values() == {"loud": value}


def test_a_switch_takes_no_value() -> None:
    with pytest.raises(UsageError, match="--loud takes no value"):
        reading("--loud=yes")


def test_an_alias_means_its_option() -> None:
    assert reading("--age=2").values() == {"max_age": 2.0}


def test_options_end_at_the_first_positional_argument() -> None:
    result = reading("--size=1", "program", "--size=2", "--", "-x")

    assert result.values() == {"size": 1}
    assert result.positional == ("program", "--size=2", "--", "-x")


def test_options_end_at_two_dashes() -> None:
    result = reading("--size=1", "--", "--size=2")

    assert result.values() == {"size": 1}
    assert result.positional == ("--size=2",)


def test_a_single_dash_is_an_argument() -> None:
    assert reading("-", "x").positional == ("-", "x")


def test_a_command_may_let_options_follow_its_arguments() -> None:
    result = reading("name", "--size=1", "other", "--", "--x", interspersed=True)

    assert result.values() == {"size": 1}
    assert result.positional == ("name", "other", "--x")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("--sise", "3"), "unknown option '--sise' (did you mean '--size'?); see --help"),
        (("--xyzzy",), "unknown option '--xyzzy'; see --help"),
        (("-s",), "unknown option '-s'; see --help"),
        (("--size",), "--size needs a value: --size N"),
        (("--size", "--loud"), "--size needs a value: --size N"),
        (("--size", "--", "x"), "--size needs a value: --size N"),
        (("--size=big",), "--size 'big' must be a whole number"),
        (("--age=old",), "--age 'old' must be a number of seconds"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(argv: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        reading(*argv)

    assert str(caught.value) == message


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_is_given_before_anything_is_judged(flag: str) -> None:
    with pytest.raises(HelpWanted):
        reading("--size=big", flag)


def test_the_version_is_asked_for_like_help() -> None:
    with pytest.raises(VersionWanted):
        reading("--version")


def test_help_for_the_program_that_is_run_is_not_ours() -> None:
    assert reading("program", "--help").positional == ("program", "--help")


def test_each_option_is_a_variable_too() -> None:
    values = reading(RIE_SIZE="3", RIE_MAX_AGE="1.5", RIE_LOUD="Yes", RIE_TAG="a,b").values()

    assert values == {"size": 3, "max_age": 1.5, "loud": True, "tag": ("a", "b")}


def test_the_command_line_wins_over_the_variable() -> None:
    assert reading("--size=1", "--tag=x", RIE_SIZE="2", RIE_TAG="a,b").values() == {
        "size": 1,
        "tag": ("x",),
    }


def test_a_variable_of_ours_wins_over_others_and_those_in_their_order() -> None:
    assert reading(RIE_PLACE="a", PLACE="b", WHERE="c").values() == {"place": "a"}
    assert reading(PLACE="b", WHERE="c").values() == {"place": "b"}
    assert reading(WHERE="c").values() == {"place": "c"}


def test_an_empty_variable_is_one_that_is_not_set() -> None:
    assert reading(RIE_PLACE="", PLACE="b", RIE_SIZE="").values() == {"place": "b"}


def test_an_option_can_be_without_variable() -> None:
    assert reading(RIE_SECRET="x").values() == {}  # noqa: S106 - a name in a test


def test_an_error_in_a_variable_names_the_variable() -> None:
    with pytest.raises(UsageError, match=r"^RIE_SIZE 'big' must be a whole number$"):
        reading(RIE_SIZE="big")


def test_where_a_value_came_from_is_kept() -> None:
    result = reading("--age=2", PLACE="here")

    assert (result.given["max_age"].where, result.given["max_age"].text) == ("--age", "2")
    assert (result.given["place"].where, result.given["place"].text) == ("PLACE", "here")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:9001", ("::1", 9001)),
        (":8080", ("0.0.0.0", 8080)),  # noqa: S104 - what it means
    ],
)
def test_an_address_is_host_and_port(written: str, meant: tuple[str, int]) -> None:
    assert address(written) == meant


@pytest.mark.parametrize("written", ["8080", "localhost", "localhost:", "localhost:http", "::1:80"])
def test_what_is_no_address_is_refused_with_an_example(written: str) -> None:
    with pytest.raises(BadValueError, match="such as"):
        address(written)


@pytest.mark.parametrize("written", ["true", "1", "YES", "on"])
def test_yes_has_several_spellings(written: str) -> None:
    assert boolean(written) is True


@pytest.mark.parametrize("written", ["false", "0", "No", "off"])
def test_no_has_several_spellings(written: str) -> None:
    assert boolean(written) is False


def test_anything_else_is_neither() -> None:
    with pytest.raises(BadValueError, match="must be true or false"):
        boolean("maybe")


def test_a_choice_is_made_in_any_case_and_by_synonym() -> None:
    parse = choice("Text", "JSON", plain="Text")

    assert [parse("json"), parse("TEXT"), parse("plain")] == ["JSON", "Text", "Text"]
    with pytest.raises(BadValueError, match="must be Text or JSON"):
        parse("xml")


def test_the_explanation_shows_default_and_variables_under_each_group() -> None:
    table = (
        Option(name="a", parse=text, metavar="X", help="An a.", default="7", group="First"),
        Option(name="b", parse=boolean, switch=True, help="A b.", group="Second", variable=""),
        Option(name="c", parse=text, metavar="X", help="A c.", group="First", repeatable=True),
    )

    assert explain(table) == (
        "First:\n"
        "  --a X\n      An a. [default: 7; RIE_A]\n"
        "  --c X\n      A c. [may be repeated; RIE_C]\n"
        "\n"
        "Second:\n"
        "  --b, --no-b\n      A b."
    )
