"""Pipelines are read whole or refused with every problem at its place."""

from __future__ import annotations

import textwrap
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from octavo.errors import SpecErrors, UsageError
from octavo.pipeline.lookup import MAX_BYTES
from octavo.pipeline.reader import read_about, read_pipeline
from octavo.pipeline.registry import Registry
from octavo.pipeline.spec import Pipeline, WholePrompt
from octavo.protocols import PromptText

GOOD = """\
octavo: 1
about: Retell a book
params:
  tone: {type: choice, choices: [dry, warm], default: dry}
whole: {prompt: "Retell in {{ words }} words:\\n{{ text }}", words: 200}
steps:
  - split: {tokens: 1000, overlap: 2}
  - map:
      prompt: |
        Retell in a {{ tone }} tone:
        {{ text | fence }}
      words: 80
  - filter: {where: text != "none"}
    name: useful
  - fold: {first: "{{ text }}", next: {system: "You retell.", user: "{{ summary }} {{ text }}"}}
    from: useful
"""


def lines(text):
    return textwrap.dedent(text).strip("\n") + "\n"


def test_a_pipeline_becomes_checked_values(project):
    pipeline = project.read(GOOD)
    assert pipeline.name == "book"
    assert pipeline.about == "Retell a book"
    assert [(use.type.name, use.name, use.sources) for use in pipeline.steps] == [
        ("split", "split", ()),
        ("map", "map", ()),
        ("filter", "useful", ()),
        ("fold", "fold", ("useful",)),
    ]
    assert pipeline.steps[0].options.model_dump() == {"by": "lines", "tokens": 1000, "overlap": 2}
    assert pipeline.steps[3].options.next == PromptText(
        system="You retell.", user="{{ summary }} {{ text }}"
    )
    assert pipeline.whole == WholePrompt("Retell in {{ words }} words:\n{{ text }}", 900, 200)
    parameter = pipeline.params[0]
    assert (parameter.name, parameter.default, parameter.required) == ("tone", "dry", False)


def test_the_digest_follows_what_the_pipeline_does(project):
    digest = project.read(GOOD).digest
    assert (
        project.read(GOOD.replace("Retell a book", "Another") + "# and a comment").digest == digest
    )
    assert project.read(GOOD.replace("words: 80", "words: 81")).digest != digest
    assert project.read(GOOD.replace("warm", "hot")).digest != digest


def test_the_digest_follows_the_prompts(project):
    text = "octavo: 1\nsteps: [split: , map: {prompt: retell}]"
    project.prompt("retell", "{% extends 'outer' %}")
    digests = []
    for outer in ("a {{ text }}", "b {{ text }}"):
        project.prompt("outer", outer)
        digests.append(project.read(text).digest)
    assert digests[0] != digests[1]


def test_five_kinds_of_bad_yaml_are_five_errors(project):
    project.prompt("refine/first", "")
    assert project.errors("""
        octavo: 1
        abuot: A book
        steps:
          - split: {tokens: few}
          - map: {prompt: {{ text }}}
          - map: {prompt: refine/fist, words: 3, words: 4}
          - mapp: {prompt: "{{ text }}"}
    """) == lines("""
        2:1 unknown-key: the pipeline has no option 'abuot'
            did you mean 'about'?
        4:21 wrong-type: 'tokens' must be a whole number, not the text 'few'
            write a whole number such as 8
        5:19 unquoted-jinja: Jinja in a pipeline needs quotes, since { starts a mapping
            write "{{ text }}"
        6:19 unknown-prompt: there is no prompt 'refine/fist'
            did you mean 'refine/first'?
        6:42 duplicate-key: 'words' is there twice; the first is on line 6
            remove this one or the one on line 6
        7:5 unknown-step: there is no step 'mapp'
            did you mean 'map'?
    """)


def test_errors_show_the_line(project):
    with pytest.raises(SpecErrors) as caught:
        project.read("octavo: 1\nsteps:\n  - split: {tokns: 20}\n")
    (error,) = caught.value.errors
    assert str(error) == "book.yaml:3:13: error[unknown-key]: `split` has no option 'tokns'"
    assert error.position.source == "  - split: {tokns: 20}"
    assert error.hint == "did you mean 'tokens'?"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "1:1 empty: this is no pipeline: there is nothing in it"),
        ("- a", "1:1 empty: this is no pipeline: it is no mapping of keys"),
        ("steps: [split: ]", "1:1 missing-key: the pipeline needs 'octavo'"),
        ("octavo: 1", "1:1 missing-key: the pipeline needs 'steps'"),
        ("octavo: 1\nsteps: []", "2:8 wrong-type: 'steps' is a list of steps"),
        ("octavo: 1\nsteps: split", "2:8 wrong-type: 'steps' is a list of steps"),
        ("octavo: 2\nstages: []", "1:9 version: this Octavo reads version 1 of pipelines"),
        ('octavo: "1"\nsteps: [split: ]', "1:9 wrong-value: 'octavo' cannot be the text '1'"),
        ("octavo: 1\nabout: 7\nsteps: [split: ]", "2:8 wrong-type: 'about' must be text"),
    ],
)
def test_the_head_is_checked(project, text, expected):
    assert project.errors(text).startswith(expected)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("quick: yes", "'quick' must be true or false, not the text 'yes'\n    write true"),
        ("quick: 1", "'quick' must be true or false, not the number 1\n    write true or false"),
        (
            "words: true",
            "'words' must be a whole number, not true\n    write a whole number such as",
        ),
        ("words: 1.5", "'words' must be a whole number, not the number 1.5\n    write a whole"),
        ('words: "8"', "not the text '8'\n    write it without quotes: 8"),
        ("words: 0", "'words' must be at least 1\n    write 1 or more"),
        ("words: [1]", "'words' must be a whole number, not a list\n"),
        ("quick: off", "'quick' must be true or false, not the text 'off'\n    write false"),
    ],
)
def test_values_are_not_guessed(project, value, expected):
    error = project.steps(f'- split:\n- map: {{prompt: "{{{{ text }}}}", {value}}}')
    assert expected in error


def test_words_are_read_as_yaml_1_2_does(project):
    pipeline = project.read("""
        octavo: 1
        about: no
        steps:
          - split: {tokens: 0100}
          - map: {prompt: off on, words: 010}
    """)
    assert pipeline.about == "no"
    assert pipeline.steps[0].options.tokens == 100
    assert pipeline.steps[1].options.words == 10


def test_a_prompt_has_three_forms(project):
    error = project.steps("- split:\n- map: {prompt: 5}")
    assert "'prompt' must be text or a mapping, not the number 5\n    quote it: \"5\"" in error
    assert project.steps('- split:\n- map: {prompt: {usr: "a", system: "b"}}') == lines("""
        4:11 missing-key: `map` needs 'user'
            add `user: ...`
        4:20 unknown-key: `map` has no option 'usr'
            did you mean 'user'?
    """)


def test_steps_must_fit_each_other(project):
    assert project.steps("""
        - map: {prompt: "{{ text }}"}
        - fold: {first: "{{ text }}", next: "{{ text }}"}
        - filter: {where: text}
        - split:
    """) == lines("""
        3:5 step-order: `map` takes chunks or notes, but gets the document
            put `- split:` before it
        5:5 step-order: `filter` takes chunks or notes, but gets one note
            move or remove this step
        6:5 step-order: `split` takes the document, but gets notes
            move or remove this step
    """)


def test_gather_starts_with_notes(project):
    pipeline = project.read("""
        octavo: 1
        steps: [split: ]
        gather:
          - map: {prompt: "{{ text }}"}
    """)
    assert [use.name for use in pipeline.gather] == ["map"]
    assert project.steps("- split:", head="gather:\n- split:") == lines("""
        5:3 step-order: `split` takes the document, but gets notes
            move or remove this step
    """)


def test_from_names_an_earlier_step(project):
    assert project.steps("""
        - split:
          from: later
        - map: {prompt: "{{ text }}"}
          name: first
        - map: {prompt: "{{ text }}"}
          from: frist
          name: first
        - map: {prompt: "{{ text }}"}
          from: 7
    """) == lines("""
        4:11 unknown-name: there is no step 'later' before this one
            remove `from`: this is the first step
        8:11 unknown-name: there is no step 'frist' before this one
            did you mean 'first'?
        9:11 duplicate-name: there is a step 'first' already
            choose another name
        11:11 wrong-type: 'from' is the name of a step
            write from: NAME, in quotes
    """)


def test_from_may_name_several_steps(project):
    pipeline = project.read("""
        octavo: 1
        steps:
          - split:
          - map: {prompt: "{{ text }}"}
            name: one
          - fold: {first: "{{ text }}", next: "{{ text }}"}
            name: two
            from: split
          - filter: {where: text}
            from: [one, two]
    """)
    assert [use.sources for use in pipeline.steps] == [(), (), ("split",), ("one", "two")]
    assert project.steps("""
        - split:
          name: one
        - filter: {where: text}
          from: [one, two]
        - split:
          from: []
        - split:
          from: [one, 2]
    """) == lines("""
        6:17 unknown-name: there is no step 'two' before this one
            use one of: one
        7:5 step-order: `split` takes the document, but gets notes
            move or remove this step
        8:11 wrong-type: 'from' is the name of a step, or a list of such names
            write from: [NAME, NAME]
        9:5 step-order: `split` takes the document, but gets chunks
            move or remove this step
        10:11 wrong-type: 'from' is the name of a step, or a list of such names
            write from: [NAME, NAME]
    """)


def test_notes_of_several_steps_have_the_names_that_all_of_them_have(project):
    project.write("octavo/prompts/a.json", '{"type": "object", "properties": {"x": {}, "y": {}}}')
    project.write("octavo/prompts/b.json", '{"type": "object", "properties": {"x": {}, "z": {}}}')
    assert project.steps("""
        - split:
        - map: {prompt: "{{ text }}", schema: a}
          name: a
        - map: {prompt: "{{ text }}", schema: b}
          name: b
          from: split
        - filter: {where: x and y}
          from: [a, b]
    """) == lines("""
        9:21 unknown-field: 'y' is no field of the notes that `filter` gets
            use one of: x
    """)


def test_an_option_may_name_a_step_before(project):
    assert project.steps("""
        - split:
          name: pages
        - map: {prompt: "{{ text }}"}
        - pick: {prompt: "{{ notes }}", text: page}
        - pick: {prompt: "{{ notes }}", text: map}
          name: later
        - pick: {prompt: "{{ notes }}", text: later-still}
          name: later-still
    """) == lines("""
        6:41 unknown-name: there is no step 'page' before this one
            did you mean 'pages'?
        9:41 unknown-name: there is no step 'later-still' before this one
            did you mean 'later'?
    """)


def test_steps_of_one_type_get_names_of_their_own(project):
    pipeline = project.read("""
        octavo: 1
        steps:
          - split:
          - map: {prompt: "{{ text }}"}
          - map: {prompt: "{{ text }}"}
            from: map
    """)
    assert [use.name for use in pipeline.steps] == ["split", "map", "map-2"]


def test_options_on_the_wrong_level_are_explained(project):
    errors = project.steps("""
        - split:
        - map:
          prompt: "{{ text }}"
        - split: {}
          map: {}
        - map: {prompt: "{{ text }}"}
          wrds: 3
        - map
        - {}
    """)
    assert "5:5 unknown-key: 'prompt' stands beside 'map', not under it" in errors
    assert "two-steps: 'map' stands in the step of 'split'" in errors
    assert "'wrds' cannot stand beside a step" in errors
    assert "a step is one key with its options\n    write `- map: {}`" in errors
    assert "missing-key: the step does not say what to do" in errors


def test_the_chunkers_own_options_are_checked(project):
    assert project.steps("- split: {by: lines, overlap: -1, tokns: 5}") == lines("""
        3:33 wrong-value: 'overlap' must be at least 0
            write 0 or more
        3:37 unknown-key: `split` has no option 'tokns'
            did you mean 'tokens'?
    """)
    assert project.steps("- split: {by: lnes}") == lines("""
        3:17 unknown-chunker: there is no chunker 'lnes'
            did you mean 'lines'?
    """)


def test_prompts_use_only_what_their_step_gives(project):
    project.prompt("part", "First\n{{ text }} of {{ src }}")
    assert project.steps("""
        - split:
        - map: {prompt: part}
        - fold:
            first: "{{ summary }}"
            next: |
              One
              {{ txt }}
            shorten: "{{ have }} {{ text }}"
    """) == lines("""
        6:18 unknown-variable: `fold` gives its prompt no 'summary'
            use one of: text, words
        9:12 unknown-variable: `fold` gives its prompt no 'txt'
            did you mean 'text'?
        10:31 unknown-variable: `fold` gives its prompt no 'text'
            use one of: have, summary, words
        octavo/prompts/part.j2:2:18 unknown-variable: `map` of book.yaml gives its prompt no 'src'
            use one of: headings, text, words
    """)


def test_prompts_may_use_parameters(project):
    project.read("""
        octavo: 1
        params: {question: {}}
        steps:
          - split:
          - map: {prompt: "{{ question }} {{ text }}"}
          - filter: {where: question in text}
    """)


def test_parameters_cannot_take_the_names_that_steps_give(project):
    head = "params:\n  text: {}\n  loop: {}\n  my-tone: {}\n  tone: {}"
    errors = project.steps('- split:\n- map: {prompt: "{{ text }}"}', head=head)
    assert errors == lines("""
        6:3 reserved-name: 'text' has a meaning in prompts already, given by the steps
            call it 'the_text'
        7:3 reserved-name: 'loop' has a meaning in prompts already, given by Jinja
            call it 'the_loop'
        8:3 wrong-value: 'my-tone' cannot be the name of a parameter
            call it 'my_tone'
    """)


def test_declarations_must_not_contradict_themselves(project):
    head = """
params:
  a: {type: choice}
  b: {choices: [x]}
  c: {type: integer, default: many}
  d: {type: choice, choices: [x, y], default: z}
  e: {required: true, default: x}
  f: {type: bool}
  g: {repeatable: true, default: [x, y]}
"""
    errors = project.steps("- split:", head=head.strip()).split("\n")
    assert errors[::2] == [
        "5:13 missing-key: 'a' has the type 'choice' but no choices",
        "6:16 wrong-value: 'b' has the type 'string' but has choices",
        "7:31 wrong-type: the parameter 'c' is a whole number, not 'many'",
        "8:47 wrong-type: the parameter 'd' is one of its choices, not 'z'",
        "9:32 wrong-value: 'e' is required, so its default is never used",
        "10:13 wrong-value: 'type' cannot be the text 'bool'",
        "",
    ]


def test_conditions_use_the_fields_of_the_schema_before(project):
    project.prompt("read", "{{ text }}")
    project.schema("record", '{"type": "object", "properties": {"score": {"type": "integer"}}}')
    assert project.steps("""
        - split:
        - filter: {where: score > 1}
        - map: {prompt: read, schema: record}
        - filter: {where: scor > 1}
        - filter: {where: text}
        - map: {prompt: read}
        - filter: {where: score > 1 and}
    """) == lines("""
        4:21 unknown-field: 'score' is no field of the notes that `filter` gets: they are text
            use one of: text
        6:21 unknown-field: 'scor' is no field of the notes that `filter` gets
            did you mean 'score'?
        7:21 unknown-field: 'text' is no field of the notes that `filter` gets
            use one of: score
        9:21 bad-expression: 'score > 1 and' is not a condition: unexpected 'end of template'
            write one condition, such as `score >= 3 and has_info`
    """)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ("{", "1:2 bad-schema: this is not JSON"),
        ("[]", "1:1 bad-schema: a JSON Schema is an object"),
        (
            '{"type": "objct"}',
            "1:11 bad-schema: 'objct' is no type of JSON\n    did you mean 'object'",
        ),
        (
            '{"type": "string"}',
            "1:1 bad-schema: the schema of a step's records is one of an object",
        ),
        ('{"type": "object",\n"type": "object"}', "1:3 duplicate-key: 'type' is there twice"),
        (
            '{"type": "object", "properties": {"a": {"$ref": "#/$defs/b"}}}',
            "bad-schema: nothing in this file is at '#/$defs/b'",
        ),
        ('{"type": "object", "properties": []}', "1:21 bad-schema: 'properties' must be an object"),
        ("[" * 5000, "bad-schema: the schema is nested too deeply"),
    ],
)
def test_schemas_are_checked_where_they_stand(project, schema, expected):
    project.prompt("read", "{{ text }}")
    project.schema("record", schema)
    error = project.steps("- split:\n- map: {prompt: read, schema: record}")
    assert error.startswith("octavo/prompts/record.json:1:")
    assert expected in error


def test_unknown_schemas_are_named(project):
    project.schema("ask/record", "{}")
    errors = project.steps("- split:\n- map: {prompt: a b, schema: ask/recrd}")
    assert errors == lines("""
        4:32 unknown-schema: there is no schema 'ask/recrd'
            did you mean 'ask/record'?
    """)


def test_keys_are_refused_and_never_quoted(project):
    key = "sk-proj-abc123DEF456ghi789"
    with pytest.raises(SpecErrors) as caught:
        project.read(f"octavo: 1\napi_key: {key}\n# {key}\nsteps:\n  - split: {{tokens: {key}}}\n")
    errors = caught.value.errors
    assert [error.position.line for error in errors if error.code == "secret"] == [2, 3, 5]
    assert all(key not in f"{e} {e.hint} {e.position.source}" for e in errors)


def test_a_file_that_is_no_text_is_refused(project):
    project.write("octavo/pipelines/latin.yaml", "")
    (project.root / "octavo/pipelines/latin.yaml").write_bytes(b"octavo: 1\nabout: caf\xe9\n")
    with pytest.raises(
        SpecErrors, match=r"octavo/pipelines/latin.yaml:2:11: error.encoding.: byte 20"
    ):
        project.load("latin")
    project.write("large.yaml", "# " + "x" * MAX_BYTES)
    with pytest.raises(SpecErrors, match="the file is larger than 1,000,000 bytes"):
        project.load("./large.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "octavo: 1\n" + "x" * 500_000 + ": 1\n",
        "".join(f"k{number}: 1\n" for number in range(2000)),
        "octavo: 1\nparams:\n" + "".join(f"  k{number}: {{}}\n" for number in range(3000)),
        "<<<<<<< a\n" * 100_000,
        "a: " + "{{" * 400_000,
        "a: b\u2028" * 100_000,
        "\t" * 900_000,
        "steps: [" + "split: , " * 4000 + "]",
    ],
)
def test_odd_files_are_refused_in_time(registry, text):
    started = time.process_time()
    with pytest.raises(SpecErrors):
        read_pipeline(text, "builtin:book", registry)
    assert time.process_time() - started < 5


def test_about_is_told_of_broken_pipelines_too(project):
    project.write("octavo/pipelines/a.yaml", "about: |\n  One\n  line\nsteps: {{ x }}")
    project.write("octavo/pipelines/b.yaml", "about: [")
    assert read_about(project.lookup.find_pipeline("a")) == "One line"
    assert read_about(project.lookup.find_pipeline("b")) == ""


def test_prompts_and_schemas_come_with_the_pipeline(project):
    project.prompt("read", "{{ text }}")
    project.schema("record", '{"type": "object"}')
    pipeline = project.read("octavo: 1\nsteps: [split: , map: {prompt: read, schema: record}]")
    assert pipeline.get_prompt("read").render({"text": "x"})[0].content == "x"
    assert pipeline.get_schema("record") == {"type": "object"}


# fmt: off
PIECES = [
    "\t", "\n", "\n\n  ", ": ", "- ", "{", "}", "[", "]", '"', "'", "&a ", "*a", "|\n", "#", "? ",
    "{{", "}}", "{%", "%}", "{{ x }}", "<<<<<<< a\n", "=======\n", ">>>>>>> b\n", "!!int ",
    "no", "010", "1e3", "null", "~", "9" * 400, ".inf", "- {}\n", "---\n", "...\n", "..", "\0",
    "text", "map", "prompt: ", "steps: ", "builtin:", "\ud800", "\ufeff", "from: ", "(" * 200,
    "<<: *a",
]
# fmt: on


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_whatever_is_written_gives_a_pipeline_or_its_errors(registry, data):
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.sampled_from((0, 0, 1, 3, 20)))
        piece = data.draw(st.one_of(st.sampled_from(PIECES), st.text(max_size=5)))
        text = text[:start] + piece + text[end:]
    try:
        result = read_pipeline(text, "builtin:book", registry)
    except SpecErrors as errors:
        result = errors
    if isinstance(result, SpecErrors):
        last = text.count("\n") + text.count("\r") + 1
        assert result.errors
        assert all(error.hint for error in result.errors)
        assert all(1 <= error.position.line <= last for error in result.errors)
    else:
        assert isinstance(result, Pipeline)


def test_a_name_that_is_nowhere_gets_a_suggestion(project):
    project.write("octavo/pipelines/summarize.yaml", GOOD)
    with pytest.raises(UsageError, match="there is no pipeline 'sumarize'") as caught:
        project.load("sumarize")
    assert caught.value.hint == "did you mean 'summarize'?"


def test_the_real_steps_are_read():
    pipeline = read_pipeline(
        'octavo: 1\nsteps:\n  - split: {tokens: 100}\n  - map: {prompt: "{{ text }}"}\n',
        "builtin:small",
        Registry(),
    )
    assert [use.type.name for use in pipeline.steps] == ["split", "map"]
