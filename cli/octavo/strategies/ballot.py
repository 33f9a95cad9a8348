"""Votes for one question, counted in sample order until one answer leads by enough."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Ballot"]


@dataclass
class Ballot:
    """First to lead by `lead`, among at most `most` samples.

    A sample gives a vote or is flagged and gives none. What is known after the samples so far
    depends on them alone, so it does not matter in which order replies arrive.
    """

    required_lead: int
    max_samples: int
    flags: int = 0
    _votes: dict[str, int] = field(default_factory=dict[str, int])

    @property
    def sample_count(self) -> int:
        """How many samples were counted, flagged ones included."""
        return sum(self._votes.values()) + self.flags

    @property
    def standings(self) -> tuple[tuple[str, int], ...]:
        """The answers with their votes, most votes first, then by the answer."""
        return tuple(sorted(self._votes.items(), key=lambda each: (-each[1], each[0])))

    @property
    def winner(self) -> str | None:
        """The answer that leads by enough, if there is one."""
        return None if self._count_missing_votes() else self.standings[0][0]

    @property
    def required_samples(self) -> int:
        """How many samples there must be: no decision can come with fewer.

        None beyond those counted when it is decided, or when those left could not decide it.
        """
        wanted = self.sample_count + self._count_missing_votes()
        return wanted if wanted <= self.max_samples else self.sample_count

    def add_vote(self, answer: str) -> None:
        """Count the next sample for an answer."""
        self._votes[answer] = self._votes.get(answer, 0) + 1

    def add_flagged(self) -> None:
        """Count the next sample for none."""
        self.flags += 1

    def _count_missing_votes(self) -> int:
        votes = [*sorted(self._votes.values(), reverse=True), 0, 0]
        return max(0, self.required_lead - (votes[0] - votes[1]))
