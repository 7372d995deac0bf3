from __future__ import annotations

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.placeholders import render, unknown_names

FORMS = ["%(x)", "%x", "$x", "${x}", "$(x)", "{x}"]
# Each prints the value of x with a NUL behind it, whatever the value is.
CONTEXTS = {
    "bare": r"printf '%s\0' FORM",
    "single quotes": r"printf '%s\0' 'FORM'",
    "double quotes": r"""printf '%s\0' "FORM" """,
    "ANSI quotes": r"printf '%s\0' $'FORM'",
    "a subshell": r"(printf '%s\0' 'FORM')",
    "a substitution in double quotes": r"""y="$(printf '%s.' FORM)"; printf '%s\0' "${y%.}" """,
    "quotes in a substitution": r"""y="$(printf '%s.' "FORM")"; printf '%s\0' "${y%.}" """,
    "backticks": r"""y=`printf '%s.' FORM`; printf '%s\0' "${y%.}" """,
    "double quotes in backticks": r"""y=`printf '%s.' "FORM"`; printf '%s\0' "${y%.}" """,
    "single quotes in backticks": r"""y=`printf '%s.' 'FORM'`; printf '%s\0' "${y%.}" """,
    "a default value in double quotes": r"""printf '%s\0' "${nope:-FORM}" """,
    "before a redirection": r"printf '%s\0' FORM>/dev/stdout",
    "after a comment with a quote": "# don't\nprintf '%s\\0' FORM",
    "after a here-document": "cat >/dev/null <<EOF\ndon't\nEOF\nprintf '%s\\0' FORM",
    "after arithmetic": r"""((y=1<<2)); printf '%s\0' "FORM" """,
}
NASTY = st.text(
    st.one_of(
        st.sampled_from(list(" \t\n'\"$`;\\!-~*?[]{}()<>|&#%=,.:/x1é")),
        st.characters(exclude_characters="\0", exclude_categories=["Cs"]),
    ),
    max_size=12,
)


def run_bash(text: str) -> str:
    answer = subprocess.run(["bash", "-c", text], capture_output=True, timeout=20)
    return answer.stdout.decode()


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("form", FORMS)
def test_a_nasty_value_reaches_the_program_as_one_argument(context: str, form: str) -> None:
    value = "-n $HOME `id` 'a' \"b\"; {a,b} * ~ \\ !x\n#c"
    text = CONTEXTS[context].replace("FORM", form)
    assert run_bash(render(text, {"x": value})) == f"{value}\0"


@settings(max_examples=60, deadline=None)
@given(value=NASTY)
def test_any_value_reaches_the_program_unchanged_in_every_context(value: str) -> None:
    texts = [text.replace("FORM", "%(x)") for text in CONTEXTS.values()]
    assert run_bash("\n".join(render(text, {"x": value}) for text in texts)) == (
        f"{value}\0" * len(texts)
    )


@settings(max_examples=200, deadline=None)
@given(text=st.text(st.sampled_from(list("abx $'\"`\\(){}%<\n#")), max_size=30))
def test_a_text_without_known_names_stays_as_it_is_but_for_doubled_backslashes(text: str) -> None:
    assert render(text, {"zz": 1}).replace("\\\\", "\\") == text.replace("\\\\", "\\")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$xy $x", "$xy 1"),
        ("%xy %x", "2 1"),
        ("$x-long $x", "3 1"),
        ("${x:-4} ${x%x} ${#x}", "${x:-4} ${x%x} ${#x}"),
        ("$(date) $name {name} %name %s", "$(date) $name {name} %name %s"),
        (r"\$x %%x '%(x)'", r"\$x %%x '1'"),
        ("# $x stays", "# $x stays"),
        ("--x=%(x)s", "--x=1s"),
        ("a%(x)>f", "a'1'>f"),
    ],
)
def test_only_whole_known_names_are_replaced(text: str, expected: str) -> None:
    names = {"x": 1, "x-long": 3} if "%xy" not in text else {"x": 1, "xy": 2}
    assert render(text, names) == expected


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (1e-05, "1e-05"), (0.1 + 0.2, "0.30000000000000004"), (3, "3")],
)
def test_numbers_keep_all_their_digits(value: float, text: str) -> None:
    assert render("%(x)", {"x": value}) == text
    assert run_bash(f"printf %s {render('%(x)', {'x': value})}") == text


def test_truth_values_are_written_as_python_writes_them() -> None:
    assert render("%(x) '%(y)'", {"x": True, "y": False}) == "True 'False'"


def test_an_unknown_variable_does_not_swallow_the_value_after_it() -> None:
    assert run_bash("xy=1; echo " + render('$xy%(x) "$xy%(x)"', {"x": 2})) == "12 12\n"


@pytest.mark.parametrize("end", ["EOF", "'EOF'"])
def test_a_value_stands_for_itself_in_a_here_document(end: str) -> None:
    text = f"cat <<{end}; echo '%(x)'\nit's %(x)\nEOF\necho \"%(x)\""
    value = 'a $b `c` "d" \\e'
    assert run_bash(render(text, {"x": value})) == f"it's {value}\n{value}\n{value}\n"


def test_unknown_names_are_those_in_percent_brackets() -> None:
    text = "a %(x) %(lr) '%(zz)' %(lr) \\%(no) %%(no) $(no) {no} printf '%(%Y)T'"
    assert unknown_names(text, ["x"]) == ["lr", "zz"]
    assert unknown_names("cat <<EOF\n%(a)\nEOF", []) == ["a"]
