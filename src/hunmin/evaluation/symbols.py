"""Turns texts into byte symbols and packed n-gram keys, whole batches at a time.

A document is its UTF-8 bytes followed by one end symbol, so there are 257 symbols. Before its
first byte stand only end symbols: no context ever reaches into the document before.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow as pa

END_SYMBOL = 256
NUM_SYMBOLS = 257
SYMBOL_BITS = 9

Bytes = npt.NDArray[np.uint8]
Counts = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]


def text_bytes(texts: pa.Array) -> tuple[Bytes, Counts]:
    """Return the UTF-8 bytes of all texts, one after another, without a Python loop.

    Args:
        texts: Arrow strings of any width; a null counts as the empty text.

    Returns:
        All bytes as uint8, and the number of bytes of each text.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    column = texts.cast(pa.large_string()).fill_null("")
    _, offsets_buffer, data_buffer = column.buffers()
    first, last = column.offset, column.offset + len(column) + 1
    if len(column) == 0 or data_buffer is None:
        return np.zeros(0, np.uint8), np.zeros(len(column), np.int64)
    offsets = np.frombuffer(offsets_buffer, np.int64)[first:last]
    data = np.frombuffer(data_buffer, np.uint8)[offsets[0] : offsets[-1]]
    return data, np.diff(offsets)


def frame_documents(
    data: Bytes, lengths: Counts, padding: int
) -> tuple[npt.NDArray[np.uint16], npt.NDArray[np.bool_]]:
    """Lay documents out as symbols: `padding` end symbols, the bytes, one end symbol.

    Args:
        data: Bytes of all documents.
        lengths: Bytes of each document; sums to the size of `data`.
        padding: End symbols before each document; the order of the model less one.

    Returns:
        The symbols, and a mask that is true where a symbol is to be predicted.
    """
    sizes = lengths + padding + 1
    starts = np.cumsum(sizes) - sizes
    from_text = np.ones(int(sizes.sum()), np.bool_)
    from_text[(starts[:, None] + np.arange(padding)).ravel()] = False
    ends = starts + sizes - 1
    from_text[ends] = False
    symbols = np.full(from_text.size, END_SYMBOL, np.uint16)
    symbols[from_text] = data
    from_text[ends] = True
    return symbols, from_text


def pack_keys(symbols: npt.NDArray[np.uint16], order: int) -> Keys:
    """Pack each symbol with the `order` - 1 before it into one integer, 9 bits a symbol.

    Args:
        symbols: Symbols in reading order.
        order: Symbols per key, at most 7.

    Returns:
        One key for each symbol from number `order` - 1 on; the newest symbol has the lowest bits.
    """
    wide = symbols.astype(np.uint64)
    size = max(0, wide.size - order + 1)
    keys = np.zeros(size, np.uint64)
    for lag in range(order):
        start = order - 1 - lag
        keys |= wide[start : start + size] << np.uint64(SYMBOL_BITS * lag)
    return keys


def iterate_keys(
    data: Bytes, lengths: Counts, order: int, *, chunk_symbols: int = 1 << 22
) -> Iterator[Keys]:
    """Yield the keys of all symbols to predict, in reading order, a bounded piece at a time.

    Args:
        data: Bytes of all documents.
        lengths: Bytes of each document.
        order: Symbols per key.
        chunk_symbols: Most keys in one piece; bounds memory whatever the length of a document.

    Yields:
        Keys; together `lengths[i] + 1` for document i.
    """
    padding = order - 1
    symbols, predicted = frame_documents(data, lengths, padding)
    for start in range(padding, symbols.size, chunk_symbols):
        stop = min(start + chunk_symbols, symbols.size)
        keys = pack_keys(symbols[start - padding : stop], order)
        yield keys[predicted[start:stop]]
