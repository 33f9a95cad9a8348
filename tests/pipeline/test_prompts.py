"""Prompts become messages, and what is wrong in them is told at its line."""

from __future__ import annotations

import subprocess
import sys

import pytest

from octavo.errors import SpecError
from octavo.pipeline.prompts import Prompts
from octavo.protocols import Message, PromptText


@pytest.fixture
def prompts(project):
    return Prompts(project.lookup)


def rendered(prompt, **variables):
    return {message.role: message.content for message in prompt.render(variables)}


def test_blocks_are_the_messages(project, prompts):
    project.prompt(
        "part",
        """
        {# What this is for. #}
        {% block user %}

        Retell {{ text }}

        {% endblock %}
        {% block system %}
        You retell.
        {% endblock %}
        """,
    )
    assert prompts.get("part").render({"text": "it"}) == (
        Message("system", "You retell."),
        Message("user", "Retell it"),
    )


def test_without_blocks_all_is_the_user_message(prompts):
    prompt = prompts.get("{% block intro %}Say{% endblock %} {{ text }}\n")
    assert prompt.render({"text": "it"}) == (Message("user", "Say it"),)


def test_two_texts_are_two_messages(prompts):
    reference = PromptText(system="You are {{ tone }}.", user="Say {{ text }}")
    assert rendered(prompts.get(reference), tone="dry", text="it") == {
        "system": "You are dry.",
        "user": "Say it",
    }


def test_an_empty_system_message_is_not_sent(prompts):
    prompt = prompts.get(
        "{% block system %}{{ tone or '' }}{% endblock %}{% block user %}a{% endblock %}"
    )
    assert prompt.render({"tone": None}) == (Message("user", "a"),)


def test_documents_are_values_and_never_templates(prompts):
    text = "{{ 7 * 7 }} {% raw %} [b] {# x #} {{ text }}"
    assert rendered(prompts.get("{{ text }} end"), text=text) == {"user": f"{text} end"}


def test_a_users_prompt_extends_the_built_in_one_of_its_name(project, prompts, monkeypatch):
    ours = project.root / "ours"
    monkeypatch.setattr("octavo.pipeline.lookup.find_builtin_folder", lambda kind: ours / kind)
    project.write("ours/prompts/part.j2", "{% block user %}Retell {{ text }}{% endblock %}")
    project.prompt(
        "part", '{% extends "builtin:part" %}{% block user %}{{ super() }}!{% endblock %}'
    )
    assert rendered(prompts.get("part"), text="it") == {"user": "Retell it!"}
    assert rendered(prompts.get("builtin:part"), text="it") == {"user": "Retell it"}
    assert prompts.get("part").digest != prompts.get("builtin:part").digest


def test_inheritance_is_jinjas(project, prompts):
    project.prompt(
        "root",
        """
        {% set who = "reader" %}
        {% macro shout(x) %}{{ x | upper }}{% endmacro %}
        {% block system %}You are a {{ who }}.{% endblock %}
        {% block user %}
        {% block task %}Read{% endblock %} {{ shout(text) }} {{ self.task() }}
        {% endblock %}
        """,
    )
    project.prompt("middle", '{% extends "root" %}{% block task %}{{ super() }} well{% endblock %}')
    project.prompt(
        "leaf", '{% extends "middle" %}{% block task %}{{ super() }}, {{ how }}{% endblock %}'
    )
    prompt = prompts.get("leaf")
    assert rendered(prompt, text="it", how="now") == {
        "system": "You are a reader.",
        "user": "Read well, now IT Read well, now",
    }
    assert set(prompt.locate_variables()) == {"text", "how"}


def test_variables_are_those_taken_from_outside(project, prompts):
    project.prompt("inner", "{{ note }} {{ tone }}")
    project.prompt("tools", "{% macro say(x) %}{{ x }}{% endmacro %}")
    prompt = prompts.get(
        """
        {% import "tools" as tools %}{% from "tools" import say as tell %}
        {% set shown = notes | length %}
        {% for note in notes %}
        {{ loop.index }} {% include "inner" %}{{ tools.say(note) }}
        {% endfor %}
        {{ shown }} {{ tell(words) }} {% if extra is defined %}{{ extra }}{% endif %}
        """
    )
    assert set(prompt.locate_variables()) == {"notes", "tone", "words", "extra"}
    assert "1 a dry" in rendered(prompt, notes=["a"], tone="dry", words=1)["user"]


def test_the_digest_covers_parents_and_nothing_else(project, prompts):
    project.prompt("a", '{% include "b" %}')
    project.prompt("b", "{{ text }}")
    before = prompts.get("a").digest
    project.prompt("elsewhere", "x")
    assert Prompts(project.lookup).get("a").digest == before
    project.prompt("b", "{{ text }}!")
    assert Prompts(project.lookup).get("a").digest != before
    assert prompts.get("x y").digest != prompts.get(PromptText(system="x y", user="x y")).digest


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("One\n{{ text", 2, "unexpected end of template"),
        ("One\n{{ text | fense }}", 2, "there is no filter 'fense'"),
        ("One\n{{ text | random }}", 2, "there is no filter 'random'"),
        ("One\n{{ text is odder }}", 2, "there is no test 'odder'"),
        ("{% block user %}a{% endblock %}\nlost", 2, "what stands outside of the blocks"),
        ("{% block user %}a{% endblock %}\n{{ lost }}", 2, "what stands outside of the blocks"),
        ("{% block user %}a{% endblock %}\n{% if a %}b{% endif %}", 2, "what stands outside"),
        (
            "{% block user %}a{% endblock %}\n{% block usr %}b{% endblock %}",
            2,
            "`usr` is never sent",
        ),
        ("{% block system %}a{% endblock %}\n", 1, "the prompt has no block `user`"),
        ("{% block user %}a{% endblock %}\n{% block user %}b{% endblock %}", 2, "defined twice"),
        ("{% block user required %}{% endblock %} ", 1, "the block `user` is required"),
        ('a b\n{% include "nowhere" %}', 2, "there is no prompt 'nowhere'"),
        ("a b\n{% include name %}", 2, "a prompt names another one by a fixed name"),
        ('{% if a %}\n{% extends "part" %}{% endif %}', 2, "`extends` stands once"),
        ("a b " + "(" * 3000 + "{{ " + "(" * 3000, 1, "nested too deeply"),
        ("{% for a in b %}" * 30 + " x " + "{% endfor %}" * 30, 1, "cannot be compiled"),
    ],
)
def test_what_is_wrong_is_told_at_its_line(project, prompts, text, line, message):
    project.prompt("part", "x")
    project.prompt("wrong", "")
    (project.root / "octavo/prompts/wrong.j2").write_text(text)
    with pytest.raises(SpecError) as caught:
        prompts.get("wrong")
    assert message in caught.value.message
    assert (caught.value.position.path, caught.value.position.line) == (
        "octavo/prompts/wrong.j2",
        line,
    )
    assert caught.value.hint


def test_a_prompt_that_extends_itself_is_refused(project, prompts):
    project.prompt("part", '{% extends "part" %}')
    with pytest.raises(SpecError, match="names itself") as caught:
        prompts.get("part")
    assert caught.value.hint == 'name the built-in one: "builtin:NAME"'


def test_a_missing_variable_is_told_with_those_that_exist(project, prompts):
    project.prompt("part", "Retell\n{{ text }}\nas {{ tone }}")
    with pytest.raises(SpecError) as caught:
        prompts.get("part").render({"text": "it", "words": 3})
    error = caught.value
    assert str(error.position) == "octavo/prompts/part.j2:3:1"
    assert error.message == "the prompt cannot be rendered: 'tone' is undefined"
    assert error.hint == "it has these variables: text, words"


@pytest.mark.parametrize(
    "text",
    [
        "{{ text.__class__.__mro__ }} x",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ [].append(1) }} x",
        "{{ 9 ** 9 ** 9 }} x",
        "{{ 'a' * 10 ** 9 }} x",
        "{{ range(10 ** 7) | list }} x",
    ],
)
def test_a_shared_prompt_cannot_reach_into_the_program(prompts, text):
    with pytest.raises(SpecError):
        prompts.get(text).render({"text": "it"})


def test_json_is_for_models_and_not_for_html(prompts):
    prompt = prompts.get("{{ record | tojson }} {{ record.a }}")
    assert rendered(prompt, record={"a": "<é & 'b'>"}) == {
        "user": "{\"a\": \"<é & 'b'>\"} <é & 'b'>"
    }


def test_rendering_is_the_same_everywhere(prompts):
    prompt = prompts.get(
        "{% for a in notes %}\r\n  {% if a %}\r\n  {{ a }}\r\n  {% endif %}\r\n{% endfor %}"
    )
    assert rendered(prompt, notes=["a", "", "b\r\n"]) == {"user": "  a\n  b"}


def test_jinja_is_not_imported_before_a_prompt_is_needed():
    program = (
        "import sys, octavo.pipeline.reader, octavo.pipeline.lookup; print('jinja2' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
