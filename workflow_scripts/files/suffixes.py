"""The names that image files have."""

# The names of files that are images which are read; Pillow decides by content what they are.
SUFFIXES = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".png", ".apng", ".webp", ".gif")).union(
    (".bmp", ".dib", ".tif", ".tiff", ".avif", ".avifs", ".heic", ".heics", ".heif", ".heifs", ".hif", ".jp2", ".j2k"),
    (".jpc", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".ico", ".psd"),
)
# Those that are images too and are not read, most of them cameras' raw data: each is told.
OTHER_SUFFIXES = frozenset((".jxl", ".svg", ".svgz", ".eps", ".ai", ".wmf", ".emf", ".xcf", ".exr", ".hdr")).union(
    (".raw", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef"),
    (".srw", ".x3f", ".3fr", ".iiq", ".kdc", ".dcr", ".erf", ".mrw", ".rwl"),
)
