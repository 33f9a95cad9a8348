/* The inner loops of splitting; loops.py says what each takes and returns, and is what runs where
   this was not built. Whoever changes one changes the other, and the version of both. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { VERSION = 1, REACH = 32, UNIT = 1 << 16, BITS = 12, INDENT = 64 };

/* ---- numbers in and out ---- */

/* Append a number to a list; -1 with an exception set when there is no memory for it. */
static int
append(PyObject *list, Py_ssize_t number)
{
    PyObject *value = PyLong_FromSsize_t(number);
    if (value == NULL)
        return -1;
    int failed = PyList_Append(list, value);
    Py_DECREF(value);
    return failed;
}

/* Copy a sequence of numbers; NULL with an exception set when it has anything else in it. */
static int64_t *
numbers(PyObject *sequence, Py_ssize_t *length)
{
    PyObject *items = PySequence_Fast(sequence, "a sequence of integers is needed");
    if (items == NULL)
        return NULL;
    *length = PySequence_Fast_GET_SIZE(items);
    int64_t *copied = PyMem_New(int64_t, *length + 1);
    if (copied == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; copied != NULL && i < *length; i++) {
        copied[i] = PyLong_AsLongLong(PySequence_Fast_GET_ITEM(items, i));
        if (copied[i] == -1 && PyErr_Occurred()) {
            PyMem_Free(copied);
            copied = NULL;
        }
    }
    Py_DECREF(items);
    return copied;
}

/* ---- blank lines ---- */

static int
is_blank(Py_UCS4 sign)
{
    return sign == ' ' || sign == '\t' || sign == '\r' || sign == '\f' || sign == '\v';
}

static Py_ssize_t
next_line_feed(int kind, const void *data, Py_ssize_t at, Py_ssize_t stop)
{
    if (kind == PyUnicode_1BYTE_KIND) {
        const char *signs = data;
        const char *found = memchr(signs + at, '\n', (size_t)(stop - at));
        return found == NULL ? stop : found - signs;
    }
    while (at < stop && PyUnicode_READ(kind, data, at) != '\n')
        at++;
    return at;
}

static PyObject *
blank_lines(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *text;
    Py_ssize_t at, stop;
    if (!PyArg_ParseTuple(args, "Unn:blank_lines", &text, &at, &stop))
        return NULL;
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    if (stop > PyUnicode_GET_LENGTH(text))
        stop = PyUnicode_GET_LENGTH(text);
    if (at < 0)
        at = 0;
    PyObject *ends = PyList_New(0), *gaps = PyList_New(0);
    int failed = ends == NULL || gaps == NULL;
    Py_ssize_t begin = at;
    while (!failed && at < stop && (at = next_line_feed(kind, data, at, stop)) < stop) {
        /* How many line feeds stand side by side, bare and after carriage returns. */
        int bare = 1, returned = at > begin && PyUnicode_READ(kind, data, at - 1) == '\r';
        int wide = 0;
        Py_ssize_t end = at + 1;
        for (;;) {
            Py_ssize_t next = end;
            while (next < stop && is_blank(PyUnicode_READ(kind, data, next)))
                next++;
            if (next >= stop || PyUnicode_READ(kind, data, next) != '\n')
                break;
            bare = next == end ? bare + 1 : 1;
            if (next == end || PyUnicode_READ(kind, data, next - 1) != '\r')
                returned = 0;
            else
                returned = next == end + 1 ? returned + 1 : 1;
            wide |= bare >= 3 || returned >= 3;
            end = next + 1;
        }
        if (end > at + 1) {
            failed = append(ends, end) < 0 || (wide && append(gaps, end) < 0);
        }
        at = end;
    }
    if (failed) {
        Py_XDECREF(ends);
        Py_XDECREF(gaps);
        return NULL;
    }
    return Py_BuildValue("NN", ends, gaps);
}

/* ---- code fences ---- */

/* Return where the line starts that has nothing but its indent before a place, or -1. */
static Py_ssize_t
start_of_line(int kind, const void *data, Py_ssize_t at)
{
    for (Py_ssize_t start = at; at - start < INDENT; start--) {
        if (start == 0 || PyUnicode_READ(kind, data, start - 1) == '\n')
            return start;
        if (!Py_UNICODE_ISSPACE(PyUnicode_READ(kind, data, start - 1)))
            return -1;
    }
    return -1;
}

static PyObject *
fence_marks(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *text;
    int sign;
    if (!PyArg_ParseTuple(args, "UC:fence_marks", &text, &sign))
        return NULL;
    int kind = PyUnicode_KIND(text);
    const void *data = PyUnicode_DATA(text);
    Py_ssize_t length = PyUnicode_GET_LENGTH(text), at = 0;
    PyObject *marks = PyList_New(0);
    while (marks != NULL
           && (at = PyUnicode_FindChar(text, (Py_UCS4)sign, at, length, 1)) >= 0) {
        Py_ssize_t after = at;
        while (after < length && PyUnicode_READ(kind, data, after) == (Py_UCS4)sign)
            after++;
        Py_ssize_t start = after - at < 3 ? -1 : start_of_line(kind, data, at);
        if (start < 0) {
            at = after;
            continue;
        }
        int bare = 1, inside = 0;
        Py_ssize_t end = after;
        for (; end < length && PyUnicode_READ(kind, data, end) != '\n'; end++) {
            bare &= Py_UNICODE_ISSPACE(PyUnicode_READ(kind, data, end)) != 0;
            inside |= PyUnicode_READ(kind, data, end) == (Py_UCS4)sign;
        }
        end += end < length;
        /* Backticks after backticks are code inside a line. */
        if (sign == '~' || !inside) {
            PyObject *signs = PyUnicode_Substring(text, at, after);
            PyObject *mark = signs == NULL
                ? NULL
                : Py_BuildValue("nnNO", start, end, signs, bare ? Py_True : Py_False);
            if (mark == NULL || PyList_Append(marks, mark) < 0)
                Py_CLEAR(marks);
            Py_XDECREF(mark);
        }
        at = end;
    }
    if (at < -1)
        Py_CLEAR(marks);
    return marks;
}

/* ---- hashes of borders ---- */

/* What a byte adds to a checksum when none to seven others follow it. */
static uint32_t sums_of_bytes[8][256];

static void
fill_sums_of_bytes(void)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t sum = byte;
        for (int bit = 0; bit < 8; bit++)
            sum = sum & 1 ? sum >> 1 ^ 0xEDB88320u : sum >> 1;
        sums_of_bytes[0][byte] = sum;
    }
    for (int behind = 1; behind < 8; behind++) {
        for (int byte = 0; byte < 256; byte++) {
            uint32_t sum = sums_of_bytes[behind - 1][byte];
            sums_of_bytes[behind][byte] = sums_of_bytes[0][sum & 0xFF] ^ sum >> 8;
        }
    }
}

/* The CRC-32 of bytes, eight at a time. */
static uint32_t
checksum(const uint8_t *bytes, Py_ssize_t count)
{
    const uint32_t(*sums)[256] = sums_of_bytes;
    uint32_t sum = 0xFFFFFFFFu;
    for (; count >= 8; bytes += 8, count -= 8) {
        sum = sums[7][bytes[0] ^ (sum & 0xFF)] ^ sums[6][bytes[1] ^ (sum >> 8 & 0xFF)]
            ^ sums[5][bytes[2] ^ (sum >> 16 & 0xFF)] ^ sums[4][bytes[3] ^ sum >> 24]
            ^ sums[3][bytes[4]] ^ sums[2][bytes[5]] ^ sums[1][bytes[6]] ^ sums[0][bytes[7]];
    }
    for (; count > 0; bytes++, count--)
        sum = sums[0][(sum ^ *bytes) & 0xFF] ^ sum >> 8;
    return ~sum;
}

/* Write the UTF-8 of some characters; half of a surrogate pair is three bytes. */
static Py_ssize_t
encode(uint8_t *bytes, int kind, const void *data, Py_ssize_t start, Py_ssize_t end)
{
    uint8_t *next = bytes;
    for (Py_ssize_t at = start; at < end; at++) {
        Py_UCS4 sign = PyUnicode_READ(kind, data, at);
        if (sign < 0x80) {
            *next++ = (uint8_t)sign;
            continue;
        }
        if (sign < 0x800) {
            *next++ = (uint8_t)(0xC0 | sign >> 6);
        }
        else if (sign < 0x10000) {
            *next++ = (uint8_t)(0xE0 | sign >> 12);
            *next++ = (uint8_t)(0x80 | (sign >> 6 & 0x3F));
        }
        else {
            *next++ = (uint8_t)(0xF0 | sign >> 18);
            *next++ = (uint8_t)(0x80 | (sign >> 12 & 0x3F));
            *next++ = (uint8_t)(0x80 | (sign >> 6 & 0x3F));
        }
        *next++ = (uint8_t)(0x80 | (sign & 0x3F));
    }
    return next - bytes;
}

static uint32_t
hash_around(PyObject *text, int64_t place)
{
    Py_ssize_t length = PyUnicode_GET_LENGTH(text);
    Py_ssize_t at = place < 0 ? 0 : place > length ? length : (Py_ssize_t)place;
    Py_ssize_t start = at > REACH ? at - REACH : 0;
    Py_ssize_t end = length - at > REACH ? at + REACH : length;
    const uint8_t *data = PyUnicode_DATA(text);
    uint8_t encoded[2 * REACH * 4];
    uint32_t sum;
    if (PyUnicode_IS_ASCII(text))
        sum = checksum(data + start, end - start);
    else
        sum = checksum(encoded, encode(encoded, PyUnicode_KIND(text), data, start, end));
    return sum * 0x9E3779B1u;
}

static PyObject *
borders(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *text, *positions;
    if (!PyArg_ParseTuple(args, "UO:borders", &text, &positions))
        return NULL;
    Py_ssize_t count;
    int64_t *places = numbers(positions, &count);
    if (places == NULL)
        return NULL;
    PyObject *hashes = PyList_New(count);
    for (Py_ssize_t i = 0; hashes != NULL && i < count; i++) {
        PyObject *value = PyLong_FromUnsignedLong(hash_around(text, places[i]));
        if (value == NULL)
            Py_CLEAR(hashes);
        else
            PyList_SET_ITEM(hashes, i, value);
    }
    PyMem_Free(places);
    return hashes;
}

static PyObject *
drawn(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *text, *positions, *prices, *costs = NULL;
    if (!PyArg_ParseTuple(args, "UOO:drawn", &text, &positions, &prices))
        return NULL;
    Py_ssize_t count = 0, priced = 0;
    int64_t *places = numbers(positions, &count);
    int64_t *price = places == NULL ? NULL : numbers(prices, &priced);
    if (price != NULL && count != priced)
        PyErr_SetString(PyExc_ValueError, "each position needs a price");
    else if (price != NULL)
        costs = PyList_New(count);
    for (Py_ssize_t i = 0; costs != NULL && i < count; i++) {
        uint64_t rest = (1u << BITS) - (hash_around(text, places[i]) >> (32 - BITS));
        /* The fourth power of a share of UNIT, in whole numbers. */
        int64_t share = (int64_t)((rest * rest * rest * rest) >> (4 * BITS - 16));
        PyObject *value = PyLong_FromLongLong(price[i] + UNIT - share);
        if (value == NULL)
            Py_CLEAR(costs);
        else
            PyList_SET_ITEM(costs, i, value);
    }
    PyMem_Free(places);
    PyMem_Free(price);
    return costs;
}

/* ---- thinning ---- */

static PyObject *
thinned(PyObject *Py_UNUSED(module), PyObject *args)
{
    PyObject *bounds, *prices;
    long long limit;
    if (!PyArg_ParseTuple(args, "OOL:thinned", &bounds, &prices, &limit))
        return NULL;
    Py_ssize_t edges, count;
    int64_t *edge = numbers(bounds, &edges);
    int64_t *price = edge == NULL ? NULL : numbers(prices, &count);
    PyObject *kept = price == NULL ? NULL : PyList_New(0);
    for (Py_ssize_t i = 0; kept != NULL && i < count && i + 2 < edges; i++) {
        int64_t length = edge[i + 2] - edge[i];
        if (length <= 0) {
            PyErr_SetString(PyExc_ValueError, "bounds must ascend");
            Py_CLEAR(kept);
        }
        else if (length > limit || length % (1 + limit / length) == 0 || price[i] < 0) {
            if (append(kept, i) < 0)
                Py_CLEAR(kept);
        }
    }
    PyMem_Free(edge);
    PyMem_Free(price);
    return kept;
}

/* ---- the cheapest path ---- */

/* What is known of the items so far: the size of all before each, the least cost of cutting what
   lies before it, the first item of the part that ends there, and those that may still be starts,
   by ascending costs, from `head` to `tail`. */
typedef struct {
    int64_t *sums, *prices;
    Py_ssize_t *back, *queue, head, tail;
} Ways;

/* Return the last cut that all ways to what may still be a start have in common. */
static Py_ssize_t
common(const Ways *ways)
{
    Py_ssize_t *live = ways->queue + ways->head, count = ways->tail - ways->head;
    /* They ascend, and so they do once the last is put back in its place. */
    while (count > 1) {
        Py_ssize_t before = ways->back[live[count - 1]], at = count - 1;
        while (at > 0 && live[at - 1] > before)
            at--;
        if (at > 0 && live[at - 1] == before) {
            count--;
            continue;
        }
        memmove(live + at + 1, live + at, (size_t)(count - 1 - at) * sizeof *live);
        live[at] = before;
    }
    return live[0];
}

static PyObject *
listed(const Py_ssize_t *back, Py_ssize_t at)
{
    PyObject *cuts = PyList_New(0);
    for (; cuts != NULL && at > 0; at = back[at]) {
        if (append(cuts, at) < 0)
            Py_CLEAR(cuts);
    }
    if (cuts != NULL && PyList_Reverse(cuts) < 0)
        Py_CLEAR(cuts);
    return cuts;
}

static PyObject *
cheapest(PyObject *Py_UNUSED(module), PyObject *args, PyObject *named)
{
    static char *names[] = {"sizes", "costs", "room", "each", "more", NULL};
    PyObject *given_sizes, *given_costs, *cuts = NULL;
    long long room, each;
    int more = 0;
    if (!PyArg_ParseTupleAndKeywords(args, named, "OOLL|$p:cheapest", names, &given_sizes,
                                     &given_costs, &room, &each, &more))
        return NULL;
    Py_ssize_t count = 0, priced = 0;
    int64_t *sizes = numbers(given_sizes, &count);
    int64_t *costs = sizes == NULL ? NULL : numbers(given_costs, &priced);
    Ways ways = {
        PyMem_New(int64_t, count + 1), PyMem_New(int64_t, count + 1),
        PyMem_New(Py_ssize_t, count + 1), PyMem_New(Py_ssize_t, count + 1), 0, 0,
    };
    if (costs == NULL)
        goto done;
    if (count != priced) {
        PyErr_SetString(PyExc_ValueError, "each item needs a size and a cost");
        goto done;
    }
    if (!ways.sums || !ways.prices || !ways.back || !ways.queue) {
        PyErr_NoMemory();
        goto done;
    }
    ways.sums[0] = ways.prices[0] = 0;
    ways.back[0] = ways.queue[ways.tail++] = 0;
    int64_t total = count > 0 ? sizes[0] : 0;
    for (Py_ssize_t item = 1; item <= count; item++) {
        if (item == count && more)
            break;
        while (ways.head < ways.tail - 1 && ways.sums[ways.queue[ways.head]] < total - room)
            ways.head++;
        Py_ssize_t best = ways.queue[ways.head];
        if (item == count) {
            cuts = listed(ways.back, best);
            goto done;
        }
        int64_t price = ways.prices[best] + costs[item] + each;
        ways.back[item] = best;
        while (ways.tail > ways.head && ways.prices[ways.queue[ways.tail - 1]] > price)
            ways.tail--;
        ways.queue[ways.tail++] = item;
        ways.prices[item] = price;
        ways.sums[item] = total;
        total += sizes[item];
    }
    cuts = listed(ways.back, common(&ways));
done:
    PyMem_Free(sizes);
    PyMem_Free(costs);
    PyMem_Free(ways.sums);
    PyMem_Free(ways.prices);
    PyMem_Free(ways.back);
    PyMem_Free(ways.queue);
    return cuts;
}

static PyMethodDef methods[] = {
    {"blank_lines", blank_lines, METH_VARARGS, NULL},
    {"borders", borders, METH_VARARGS, NULL},
    {"drawn", drawn, METH_VARARGS, NULL},
    {"fence_marks", fence_marks, METH_VARARGS, NULL},
    {"cheapest", (PyCFunction)(void (*)(void))cheapest, METH_VARARGS | METH_KEYWORDS, NULL},
    {"thinned", thinned, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef native = {
    PyModuleDef_HEAD_INIT,
    .m_name = "octavo.text.native",
    .m_size = 0,
    .m_methods = methods,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    fill_sums_of_bytes();
    PyObject *module = PyModule_Create(&native);
    if (module != NULL && PyModule_AddIntConstant(module, "VERSION", VERSION) < 0)
        Py_CLEAR(module);
    return module;
}
