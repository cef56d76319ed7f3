# Types with which Cython compiles codec.py. What the functions do stands there and nowhere else.
import cython

cdef tuple _HEADS
cdef tuple _BREAKS
cdef tuple _COUNTS
cdef tuple _ENDS
cdef tuple _LEADS
cdef tuple _TAILS
cdef tuple _POWERS
cdef Py_ssize_t _SMALL
cdef Py_ssize_t _ENDS_MAX
cdef long long _STRIDE
cdef Py_ssize_t _BULK_ID_MAX

@cython.locals(value=Py_ssize_t, first=Py_ssize_t)
cdef (Py_ssize_t, Py_ssize_t) _number(const unsigned char* raw, Py_ssize_t at, Py_ssize_t end) noexcept

@cython.locals(raw="const unsigned char*", end=Py_ssize_t, missing=Py_ssize_t, at=Py_ssize_t, size=Py_ssize_t,
               stop=Py_ssize_t, words=list)
cpdef Py_ssize_t read_requests(bytes data, Py_ssize_t position, Py_ssize_t bulk_bytes_max, list requests) except -1

@cython.locals(at=Py_ssize_t, end=Py_ssize_t, size=Py_ssize_t, same=Py_ssize_t, head=list, words=list)
cpdef Py_ssize_t count_entries(list requests, Py_ssize_t start, Py_ssize_t skip) except -1

@cython.locals(at=Py_ssize_t, end=Py_ssize_t, size=Py_ssize_t, words=list, values=list)
cpdef list values_of(list requests, Py_ssize_t start, Py_ssize_t count, Py_ssize_t skip, bytes field)

@cython.locals(count=Py_ssize_t, end=Py_ssize_t, field=bytes, value=bytes, field_size=Py_ssize_t, value_size=Py_ssize_t, size=Py_ssize_t,
               word=bytes, pieces=list)
cpdef bytes encode_entry(bytes id_bulk, list words, Py_ssize_t skip)

@cython.locals(at=Py_ssize_t, id_bulk=bytes, words=list, field=bytes, value=bytes, head=bytes, gap=bytes, payloads=list)
cpdef list encode_entries(list id_bulks, list requests, Py_ssize_t start, Py_ssize_t skip)

@cython.locals(at=Py_ssize_t, index=Py_ssize_t, digits=Py_ssize_t, most="long long",
               lead="long long", prefix=bytes, head=bytes, id_bulk=bytes, column=list, row=list)
cpdef long long spread_entries(list requests, Py_ssize_t start, Py_ssize_t skip, list indexes, ms, long long seq,
                               list seqs, list payloads, list id_bulks) except -2

@cython.locals(count=Py_ssize_t, before_size=Py_ssize_t, after_size=Py_ssize_t, out=bytearray, raw="unsigned char*",
               raw_ms="const unsigned char*", raw_seqs="const unsigned char*", at=Py_ssize_t, place=Py_ssize_t,
               first="unsigned long long", second="unsigned long long")
cpdef bytes encode_bulk_ids(bytes ms, bytes seqs, bytes before, bytes after)

@cython.locals(value="unsigned long long", place=Py_ssize_t)
cdef unsigned long long _read(const unsigned char* raw, Py_ssize_t at) noexcept

@cython.locals(place=Py_ssize_t)
cdef Py_ssize_t _copy(unsigned char* raw, Py_ssize_t at, const unsigned char* source, Py_ssize_t size) noexcept

cdef Py_ssize_t _line(unsigned char* raw, Py_ssize_t at) noexcept

@cython.locals(count=Py_ssize_t)
cdef Py_ssize_t _digits(unsigned long long value) noexcept

@cython.locals(end=Py_ssize_t, place=Py_ssize_t)
cdef Py_ssize_t _write(unsigned char* raw, Py_ssize_t at, unsigned long long value) noexcept
