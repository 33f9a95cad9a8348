# Recipes for working on Octavo; `just` lists them. They expect the environment that the README's
# test command sets up.

bin := ".venv/bin"

_default:
    @just --list

# Style, types and layers: what CI runs beside the tests
check:
    {{bin}}/ruff check .
    {{bin}}/ruff format --check .
    {{bin}}/pyright
    {{bin}}/lint-imports

# The tests, or some of them: just test tests/chunkers -k border
test *args:
    {{bin}}/pytest {{args}}

# Repair what can be repaired by itself
fix:
    {{bin}}/ruff check --fix .
    {{bin}}/ruff format .

# All benchmarks in under ten minutes, one table each, or one: just bench chunking --file book.txt
bench name="all" *args:
    {{bin}}/python bench/{{name}}.py {{args}}

# Everything that must hold, in a fresh clone as well
ci:
    .ci/run
