"""What the layers know of each other.

A chunker, loader, step or backend is one module with one value of its type; the registry lists
the modules by name, so nothing here imports any of them. What plug-ins need of documents, chunks
and notes has its names here too: the modules below `octavo.protocols` may move.
"""

from octavo.protocols.ask import Answer, Ask, Asked, PromptLike
from octavo.protocols.backends import (
    Backend,
    BackendType,
    Capabilities,
    Checking,
    Embedding,
    Fetching,
    Profile,
    Sampling,
    Serve,
    Served,
    Starting,
    Transient,
)
from octavo.protocols.calls import (
    Embedded,
    Finish,
    JsonSchema,
    Message,
    RateLimit,
    Reply,
    Request,
    TokenLogprob,
    Usage,
)
from octavo.protocols.options import (
    CONTEXT,
    ChunkerMark,
    ChunkerRef,
    ContextOptions,
    Expression,
    ExpressionMark,
    Options,
    PromptMark,
    PromptRef,
    PromptText,
    SchemaMark,
    SchemaRef,
    StepMark,
    StepRef,
    named,
)
from octavo.protocols.sources import ChunkerType, LoaderType
from octavo.protocols.steps import Kind, StepType, Work
from octavo.protocols.tokens import Counter, LineCounter
from octavo.protocols.transport import Transport, TransportReply
from octavo.text.chunk import Chunk
from octavo.text.document import Document, Heading, heading_path, iter_heading_paths
from octavo.text.finding import Finding, Severity
from octavo.text.note import Note, PendingNote, Prediction, Record, Slot
from octavo.text.outline import markdown_headings
from octavo.text.span import Span
from octavo.text.vectors import Vector, to_vector

__all__ = [
    "CONTEXT",
    "Answer",
    "Ask",
    "Asked",
    "Backend",
    "BackendType",
    "Capabilities",
    "Checking",
    "Chunk",
    "ChunkerMark",
    "ChunkerRef",
    "ChunkerType",
    "ContextOptions",
    "Counter",
    "Document",
    "Embedded",
    "Embedding",
    "Expression",
    "ExpressionMark",
    "Fetching",
    "Finding",
    "Finish",
    "Heading",
    "JsonSchema",
    "Kind",
    "LineCounter",
    "LoaderType",
    "Message",
    "Note",
    "Options",
    "PendingNote",
    "Prediction",
    "Profile",
    "PromptLike",
    "PromptMark",
    "PromptRef",
    "PromptText",
    "RateLimit",
    "Record",
    "Reply",
    "Request",
    "Sampling",
    "SchemaMark",
    "SchemaRef",
    "Serve",
    "Served",
    "Severity",
    "Slot",
    "Span",
    "Starting",
    "StepMark",
    "StepRef",
    "StepType",
    "TokenLogprob",
    "Transient",
    "Transport",
    "TransportReply",
    "Usage",
    "Vector",
    "Work",
    "heading_path",
    "iter_heading_paths",
    "markdown_headings",
    "named",
    "to_vector",
]
