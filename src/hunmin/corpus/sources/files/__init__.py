"""Files of texts: found, unpacked, decoded, and read by the format of each."""
