/* The inner loops of splitting; loops.py says what each takes and returns, and is what runs where
   this was not built. Whoever changes one changes the other, and the version of both. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { VERSION = 2, REACH = 32, UNIT = 1 << 16, BITS = 12, INDENT = 64 };

/* Further than any place in a text, so near that two of them are no more than a number holds. */
static const int64_t FAR = INT64_MAX / 4;

/* More than any size or cost, so little that those of all items together are a number. */
static const int64_t MUCH = (int64_t)1 << 32;

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

/* Copy a sequence of numbers from -most to most; NULL with an exception set when it has anything
   else in it. */
static int64_t *
numbers(PyObject *sequence, int64_t most, Py_ssize_t *length)
{
    /* A list could change while its items say which number they are. */
    PyObject *items = PySequence_Tuple(sequence);
    if (items == NULL)
        return NULL;
    *length = PyTuple_GET_SIZE(items);
    int64_t *copied = PyMem_New(int64_t, (size_t)*length + 1);
    if (copied == NULL)
        PyErr_NoMemory();
    for (Py_ssize_t i = 0; copied != NULL && i < *length; i++) {
        copied[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(items, i));
        if (copied[i] >= -most && copied[i] <= most && (copied[i] != -1 || !PyErr_Occurred()))
            continue;
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_OverflowError, "a number is too large");
        PyMem_Free(copied);
        copied = NULL;
    }
    Py_DECREF(items);
    return copied;
}

/* Read an argument that may be any number: beyond FAR, it makes no difference which. */
static int
limit(PyObject *given, void *read)
{
    int beyond;
    int64_t number = PyLong_AsLongLongAndOverflow(given, &beyond);
    if (number == -1 && !beyond && PyErr_Occurred())
        return 0;
    if (beyond > 0 || number > FAR)
        number = FAR;
    else if (beyond < 0 || number < -FAR)
        number = -FAR;
    *(int64_t *)read = number;
    return 1;
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
    if (!PyArg_ParseTuple(args, "Unn:find_blank_lines", &text, &at, &stop))
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
        Py_ssize_t bare = 1, returned = at > begin && PyUnicode_READ(kind, data, at - 1) == '\r';
        Py_ssize_t end = at + 1;
        int wide = 0;
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
    if (!PyArg_ParseTuple(args, "UC:find_fence_marks", &text, &sign))
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
    if (!PyArg_ParseTuple(args, "UO:hash_boundaries", &text, &positions))
        return NULL;
    Py_ssize_t count;
    int64_t *places = numbers(positions, FAR, &count);
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
    if (!PyArg_ParseTuple(args, "UOO:price_boundaries", &text, &positions, &prices))
        return NULL;
    Py_ssize_t count = 0, priced = 0;
    int64_t *places = numbers(positions, FAR, &count);
    int64_t *price = places == NULL ? NULL : numbers(prices, MUCH, &priced);
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
    int64_t most;
    if (!PyArg_ParseTuple(args, "OOO&:select_boundaries", &bounds, &prices, limit, &most))
        return NULL;
    Py_ssize_t edges = 0, count = 0;
    int64_t *edge = numbers(bounds, FAR, &edges);
    int64_t *price = edge == NULL ? NULL : numbers(prices, FAR, &count);
    PyObject *kept = price == NULL ? NULL : PyList_New(0);
    for (Py_ssize_t i = 0; kept != NULL && i < count && i + 2 < edges; i++) {
        int64_t length = edge[i + 2] - edge[i];
        if (length <= 0) {
            PyErr_SetString(PyExc_ValueError, "bounds must ascend");
            Py_CLEAR(kept);
        }
        else if (length > most || length % (1 + most / length) == 0 || price[i] < 0) {
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

/* Return the last cut that all ways to what may still be a start have in common; -1 with an
   exception set when there is no memory to find it. */
static Py_ssize_t
common(const Ways *ways)
{
    Py_ssize_t at = ways->queue[ways->tail - 1], apart = ways->tail - ways->head;
    char *reached = PyMem_Calloc((size_t)at + 1, 1);
    if (reached == NULL) {
        PyErr_NoMemory();
        return -1;
    }
    for (Py_ssize_t i = ways->head; i < ways->tail; i++)
        reached[ways->queue[i]] = 1;
    /* Whichever way has come back least goes back by one cut, until all have met. */
    for (; apart > 1 || !reached[at]; at--) {
        if (reached[at]) {
            apart -= reached[ways->back[at]];
            reached[ways->back[at]] = 1;
        }
    }
    PyMem_Free(reached);
    return at;
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
    int64_t room;
    int each, more = 0;
    if (!PyArg_ParseTupleAndKeywords(args, named, "OOO&i|$p:find_cheapest_cuts", names, &given_sizes,
                                     &given_costs, limit, &room, &each, &more))
        return NULL;
    Ways ways = {NULL, NULL, NULL, NULL, 0, 0};
    Py_ssize_t count = 0, priced = 0;
    int64_t *sizes = numbers(given_sizes, MUCH, &count);
    int64_t *costs = sizes == NULL ? NULL : numbers(given_costs, MUCH, &priced);
    if (costs == NULL)
        goto done;
    if (count != priced) {
        PyErr_SetString(PyExc_ValueError, "each item needs a size and a cost");
        goto done;
    }
    size_t nodes = (size_t)count + 1;
    ways.sums = PyMem_New(int64_t, nodes);
    ways.prices = PyMem_New(int64_t, nodes);
    ways.back = PyMem_New(Py_ssize_t, nodes);
    ways.queue = PyMem_New(Py_ssize_t, nodes);
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
    Py_ssize_t settled = common(&ways);
    if (settled >= 0)
        cuts = listed(ways.back, settled);
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
    {"find_blank_lines", blank_lines, METH_VARARGS, NULL},
    {"hash_boundaries", borders, METH_VARARGS, NULL},
    {"price_boundaries", drawn, METH_VARARGS, NULL},
    {"find_fence_marks", fence_marks, METH_VARARGS, NULL},
    {"find_cheapest_cuts", (PyCFunction)(void (*)(void))cheapest, METH_VARARGS | METH_KEYWORDS, NULL},
    {"select_boundaries", thinned, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static int
execute(PyObject *module)
{
    fill_sums_of_bytes();
    return PyModule_AddIntConstant(module, "VERSION", VERSION);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
#if PY_VERSION_HEX >= 0x030D0000
    /* What is read while others could write to it is a string or a tuple: neither changes. */
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef native = {
    PyModuleDef_HEAD_INIT,
    .m_name = "octavo.text.splitting.native",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC
PyInit_native(void)
{
    return PyModuleDef_Init(&native);
}
