from __future__ import annotations

from tests.strategies.kit import Kit, fenced, paragraphs

FOLD = """
octavo: 1
steps:
  - split: {tokens: 200}
  - fold:
      first: "First, {{ words }} words:\\n{{ text | fence }}"
      next: "Next:\\n{{ summary | fence('summary') }}\\n{{ text | fence }}"
      shorten: "Shorten {{ have }} to {{ words }}:\\n{{ summary | fence }}"
      tokens: 400
      words: 30
"""


def numbers(texts):
    words = " ".join(texts).replace(".", "").split()
    return [word for word in words if word.isdigit()]


def test_the_running_text_goes_through_all_parts_in_order(tmp_path):
    kit = Kit(FOLD, lambda request: " ".join(numbers(fenced(request))) + ".", tmp_path)
    plan = kit.plan(paragraphs(20))
    (result,) = kit.run(paragraphs(20)).results
    assert result.value == " ".join(str(n) for n in range(20)) + "."
    assert result.spans == ((0, len(paragraphs(20))),)
    assert len(kit.requests) == plan.calls[0] > 5
    assert len(kit.requests) < plan.calls[1] == plan.depth  # every text may need shortening


def test_a_text_that_grew_too_long_is_shortened_with_its_length_named(tmp_path):
    def handler(request):
        text = request.messages[-1].content
        if text.startswith("Shorten"):
            return " ".join(fenced(request)[0].split()[:30])
        return f"{fenced(request)[-1][:12]} " + "word " * 58

    kit = Kit(FOLD, handler, tmp_path)
    (result,) = kit.run(paragraphs(6)).results
    assert len(result.value.split()) == 30
    shortened = [r for r in kit.requests if r.messages[-1].content.startswith("Shorten 60 to 30")]
    assert len(shortened) > 3


def test_a_model_that_never_shortens_is_asked_a_bounded_number_of_times(tmp_path):
    kit = Kit(FOLD, lambda request: "word " * 60, tmp_path)
    (result,) = kit.run(paragraphs(6)).results
    assert result.error is None
    assert len(kit.requests) <= 2 * kit.plan(paragraphs(6)).calls[1]


def test_one_chunk_is_asked_once(tmp_path):
    kit = Kit(FOLD, lambda request: "Short.", tmp_path)
    assert kit.run("Only this.").text == "Short."
    assert len(kit.requests) == 1
