"""Which model a run uses, and what is wrong with an octavo.toml."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from octavo.config.paths import CONFIG_FILE
from octavo.config.profile_file import ProfileFile, read_profile_file
from octavo.config.profiles import EMBEDDED_MODEL, list_profiles, resolve_model
from octavo.diagnostics import suggest
from octavo.errors import SpecErrors, UsageError
from octavo.protocols import Profile

KEY = "sk-fake-0123456789abcdefghij"


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    return folder


def write(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / CONFIG_FILE
    path.write_text(text, "utf-8")
    return path


def user_file(home: Path, text: str) -> Path:
    return write(home / ".config" / "octavo", text)


def problems(path: Path) -> list[str]:
    with pytest.raises(SpecErrors) as raised:
        read_profile_file(path)
    assert all(error.hint for error in raised.value.errors)
    return [f"{error}  {error.hint}".removeprefix(str(path)) for error in raised.value.errors]


def test_without_configuration_the_embedded_model_is_used_and_said_so(project):
    choice = resolve_model(None, cwd=project, env={"OPENAI_API_KEY": KEY})
    assert (choice.name, choice.backend, choice.model) == (EMBEDDED_MODEL, "llama", "smollm2")
    assert choice.origin == ""
    assert len(choice.notices) == 1
    assert EMBEDDED_MODEL in choice.notices[0]


def test_a_model_on_the_command_line_needs_no_file(project):
    write(project, "this is = not TOML [")
    choice = resolve_model("openai:gpt-5-mini", cwd=project, env={})
    assert choice.profile == Profile(model="openai:gpt-5-mini")
    assert (choice.backend, choice.model, choice.origin) == ("openai", "gpt-5-mini", "-m")
    assert choice.notices == ()
    assert choice.origin


def test_a_name_on_the_command_line_is_a_profile(project):
    path = write(project, '[profiles.fast]\nmodel = "openai:m"\nstream = true\ntimeout = 30\n')
    choice = resolve_model("fast", cwd=project, env={})
    assert choice.profile == Profile(model="openai:m", stream=True, timeout=30)
    assert (choice.name, choice.origin) == ("fast", str(path))


@pytest.mark.parametrize(
    ("top", "name", "model"),
    [
        ('default = "fast"', "fast", "openai:m"),
        ('model = "fast"', "fast", "openai:m"),
        ('model = "openai:x"', "openai:x", "openai:x"),
    ],
)
def test_the_file_may_say_what_is_used_by_default(project, top, name, model):
    write(project, f'{top}\n[profiles.fast]\nmodel = "openai:m"\n')
    choice = resolve_model(None, cwd=project, env={})
    assert (choice.name, choice.profile.model) == (name, model)


def test_files_are_found_upward_to_the_repositorys_root(project, empty_home):
    write(project.parent, 'default = "outside"\n[profiles.outside]\nmodel = "openai:no"\n')
    inner = project / "docs" / "deep"
    inner.mkdir(parents=True)
    assert resolve_model(None, cwd=inner, env={}).origin == ""
    write(project, 'default = "inside"\n[profiles.inside]\nmodel = "openai:m"\n')
    assert resolve_model(None, cwd=inner, env={}).name == "inside"


def test_the_project_goes_before_the_user(project, empty_home):
    user_file(
        empty_home,
        'default = "a"\n[profiles.a]\nmodel = "openai:users"\n[profiles.b]\nmodel = "openai:b"\n',
    )
    assert resolve_model(None, cwd=project, env={}).profile.model == "openai:users"
    write(project, '[profiles.a]\nmodel = "openai:projects"\n')
    assert resolve_model(None, cwd=project, env={}).profile.model == "openai:projects"
    assert resolve_model("b", cwd=project, env={}).profile.model == "openai:b"
    write(project, 'default = "b"')
    assert resolve_model(None, cwd=project, env={}).name == "b"
    assert {name: path.parent for name, (_, path) in list_profiles(project).items()} == {
        "a": empty_home / ".config" / "octavo",
        "b": empty_home / ".config" / "octavo",
    }


def test_an_unknown_profile_gets_a_suggestion(project):
    with pytest.raises(UsageError, match="no profile 'gpt'") as raised:
        resolve_model("gpt", cwd=project, env={})
    assert "openai:gpt" in raised.value.hint
    write(project, '[profiles.fast]\nmodel = "openai:m"\n')
    with pytest.raises(UsageError) as raised:
        resolve_model("fats", cwd=project, env={})
    assert "'fast'" in raised.value.hint


def test_an_unknown_default_is_wrong_at_its_line(project):
    path = write(project, '\ndefault = "fats"\n[profiles.fast]\nmodel = "openai:m"\n')
    with pytest.raises(SpecErrors) as raised:
        resolve_model(None, cwd=project, env={})
    (error,) = raised.value.errors
    assert str(error).startswith(f"{path}:2:1: error[no-profile]: ")
    assert "'fast'" in error.hint


def test_files_are_seen_from_the_file_that_names_them(project):
    write(
        project,
        '[profiles.a]\nmodel = "llama:./model.gguf"\ntokenizer = "sub/tokenizer.json"\n'
        '[profiles.b]\nmodel = "scripted:rules.yaml"\n'
        '[profiles.c]\nmodel = "openai:org/model"\n',
    )
    found = list_profiles(project / "docs")
    assert found["a"][0].model == f"llama:{project / 'model.gguf'}"
    assert found["a"][0].tokenizer == str(project / "sub/tokenizer.json")
    assert found["b"][0].model == f"scripted:{project / 'rules.yaml'}"
    assert found["c"][0].model == "openai:org/model"


def test_the_text_null_removes_an_option(project):
    path = write(project, '[profiles.a]\nmodel = "openai:m"\noptions = {seed = "null", top_p = 1}')
    assert read_profile_file(path).profiles["a"].options == {"seed": None, "top_p": 1}


def test_a_byte_order_mark_is_no_problem(project):
    path = project / CONFIG_FILE
    path.write_bytes(b'\xef\xbb\xbf[profiles.a]\r\nmodel = "openai:m"\r\n')
    assert list(read_profile_file(path).profiles) == ["a"]


def test_all_problems_are_told_at_once_each_at_its_place(project):
    path = write(
        project,
        'defualt = "a"\n'
        "[profiles.a]\n"
        'modle = "openai:m"\n'
        'base_url = "localhost:8000/v1"\n'
        "\n"
        '[profiles."b c"]\n'
        'model = "gpt"\n'
        'timeout = "soon"\n'
        "\n"
        "[profiles.c]\n"
        'model = "openai:m"\n'
        'client = "httpx"\n'
        "parallel = 2.5\n"
        "\n"
        "[profiles.d]\n"
        'model = "gpt"\n'
        'base_url = "localhost:8000/v1"\n'
        "window = 0\n"
        "[profiles.e]\n"
        'model = "openai:m"\n'
        'base_url = "localhost:8000/v1"\n'
        'options = {top_p = 1, stream = true}\n'
        'profiles.f.model = 3\n',
    )  # fmt: skip
    assert problems(path) == [
        ":1:1: error[unknown-key]: octavo.toml has no 'defualt'  did you mean 'default'?",
        ":2:2: error[missing-key]: the profile 'a' needs 'model'  add model = \"openai:NAME\"",
        ":3:1: error[unknown-key]: a profile has no 'modle'  did you mean 'model'?",
        ":8:1: error[wrong-type]: 'timeout' must be a number  write a number",
        ":12:1: error[wrong-value]: 'client' cannot be that  write 'aiohttp' or 'openai'",
        ":13:1: error[wrong-type]: 'parallel' must be a whole number  write a whole number",
        ':16:1: error[model]: a profile\'s model is BACKEND:NAME  write model = "openai:gpt"',
        ":18:1: error[wrong-value]: 'window' must be more than 0  write more than 0",
        ":23:1: error[unknown-key]: a profile has no 'profiles'  "
        + suggest("profiles", Profile.model_fields),
    ]


def test_what_the_backend_would_refuse_is_wrong_in_the_file(project):
    path = write(
        project,
        '[profiles.a]\nmodel = "openai:m"\nbase_url = "localhost:8000/v1"\n'
        "options = {top_p = 1, stream = true}\n"
        '[profiles.b]\nmodel = "openai:m"\nbase_url = "https://me:hush@lab/v1"\n',
    )
    with pytest.raises(SpecErrors) as raised:
        read_profile_file(path)
    places = [(error.position.line, error.position.column) for error in raised.value.errors]
    assert places == [(3, 1), (4, 1), (7, 1)]
    assert "hush" not in str(raised.value) + str([vars(error) for error in raised.value.errors])


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (f'[profiles.a]\nmodel = "openai:m"\napi_key = "{KEY}"\n', ":3:12: error[key-in-file]"),
        (f"# {KEY}\n", ":1:3: error[key-in-file]"),
        (f'x = = "{KEY}"\n', ":1:8: error[key-in-file]"),
        (f'[profiles.a]\nmodel = "openai:m"\noptions = {{user = "{KEY}"}}\n', ":3:20: error["),
        ('[profiles.a]\nmodel = "openai:m"\nheaders = {Authorization = "Bearer hush"}\n',
         ":3:12: error[key-in-file]"),
        ('[profiles.a]\nmodel = "openai:m"\n[profiles.a.headers]\napi-key = "hush"\n',
         ":4:1: error[key-in-file]"),
        ('[profiles.a]\nmodel = "openai:m"\napi_key_env = "hush4567890abcdefghijklm"\n',
         ":3:1: error[key-in-file]"),
        ('[profiles.a]\nmodel = "openai:m"\napi_key_env = "hush-1/2"\n',
         ":3:1: error[key-in-file]"),
    ],
)  # fmt: skip
def test_a_key_in_the_file_is_an_error_that_does_not_show_it(project, text, place):
    path = write(project, text)
    with pytest.raises(SpecErrors) as raised:
        read_profile_file(path)
    (error,) = raised.value.errors
    assert str(error).removeprefix(str(path)).startswith(place)
    shown = str(error) + str(vars(error)) + str(raised.value)
    assert KEY not in shown
    assert "hush" not in shown


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("model = openai:m\n", ":1:9: error[toml]"),
        ('model = "a"\nmodel = "b"\n', ":2:"),
        ('a = """', ":1:"),
        ('default = "a"\nmodel = "b"\n', ":2:1: error[conflict]"),
        ("default = 3\n", ":1:1: error[wrong-type]"),
        ("profiles = 3\n", ":1:1: error[wrong-type]"),
        ("[profiles]\na = 3\n", ":2:1: error[wrong-type]"),
        ('[profiles."a:b"]\nmodel = "openai:m"\n', ":1:2: error[profile-name]"),
    ],
)
def test_other_mistakes(project, text, place):
    assert problems(write(project, text))[0].startswith(place)


def test_files_that_cannot_be_read(project):
    path = project / CONFIG_FILE
    path.write_bytes(b"model = \xff\n")
    with pytest.raises(UsageError, match="byte 8"):
        read_profile_file(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read_profile_file(project)


def test_an_unencrypted_key_gets_a_notice(project):
    write(
        project,
        '[profiles.a]\nmodel = "openai:m"\nbase_url = "http://lab/v1"\napi_key_env = "LAB_KEY"\n',
    )
    choice = resolve_model("a", cwd=project, env={"LAB_KEY": KEY})
    assert len(choice.notices) == 1
    assert "unencrypted" in choice.notices[0]
    assert KEY not in choice.notices[0]


TEXT = (
    'default = "a"\n[profiles.a]\nmodel = "openai:m"\noptions = {top_p = 0.9}\n'
    '[profiles.b]\nmodel = "llama:x.gguf"\nheaders = {A = "b"}\nwindow = 5\n'
)


@settings(max_examples=150)
@given(
    start=st.integers(0, len(TEXT)),
    length=st.integers(0, 12),
    new=st.text("[]{}=.,\"'\n#:0ax ", max_size=6),
)
def test_no_file_gives_a_traceback(start, length, new):
    # A directory of its own: an `octavo.toml` above those of other tests would be found by them.
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(SpecErrors):
        path = write(Path(directory), TEXT[:start] + new + TEXT[start + length :])
        assert isinstance(read_profile_file(path), ProfileFile)


def test_a_server_of_its_own_is_described_below_the_profile(tmp_path):
    path = write(
        tmp_path,
        "[profiles.big]\n"
        'model = "vllm:org/model"\n'
        "[profiles.big.serve]\n"
        'dtype = "bfloat16"\n'
        "gpu_memory_utilization = 0.5\n"
        'arguments = ["--enforce-eager"]\n',
    )
    profile = read_profile_file(path).profiles["big"]
    assert profile.serve.dtype == "bfloat16"
    assert profile.serve.gpu_memory_utilization == 0.5
    assert list(profile.serve.arguments) == ["--enforce-eager"]


def test_wrong_lines_about_a_server_are_told(tmp_path):
    path = write(
        tmp_path,
        "[profiles.a]\n"
        'model = "openai:m"\n'
        "[profiles.a.serve]\n"
        'dtype = "half"\n'
        "[profiles.b]\n"
        'model = "vllm:m"\n'
        "[profiles.b.serve]\n"
        'dtpye = "half"\n'
        'arguments = "--enforce-eager"\n',
    )
    assert problems(path)[0] == (
        ":3:2: error[wrong-value]: 'serve' starts a server for a vllm: model, and this is"
        " 'openai:m'  write model = \"vllm:m\", or remove it"
    )
    mistyped, wrong = problems(path)[1:]
    assert mistyped == ":8:1: error[unknown-key]: 'serve' has no 'dtpye'  did you mean 'dtype'?"
    assert wrong.startswith(":9:1: error[wrong-type]: 'arguments' must be a list such as")
