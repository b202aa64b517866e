//! The pages of a TIFF file.

use std::io::{self, Read, Seek, SeekFrom};

/// The largest number of pages of a file. The chain of a malformed file may be endless.
const MAX_PAGES: usize = 4096;
/// Tag of the kind of an image (NewSubfileType; TIFF 6.0, page 36).
const SUBFILE_TYPE: u64 = 254;
/// Bits of [`SUBFILE_TYPE`] of images that are no pages: a reduced copy of another image, and a transparency mask.
const NON_PAGE_FLAGS: u64 = 0b101;

/// The layout of a TIFF file, classic or BigTIFF.
#[derive(Debug, Clone, Copy)]
struct Layout {
    big_endian: bool,
    is_big: bool,
}

impl Layout {
    /// Parses the magic number. Returns `None` if the file is no TIFF file.
    fn parse(magic: [u8; 4]) -> Option<Self> {
        let (big_endian, is_big) = match &magic {
            b"II*\0" => (false, false),
            b"MM\0*" => (true, false),
            b"II+\0" => (false, true),
            b"MM\0+" => (true, true),
            _ => return None,
        };
        Some(Self { big_endian, is_big })
    }

    /// Returns the number of bytes of an offset.
    fn offset_len(self) -> usize {
        if self.is_big { 8 } else { 4 }
    }

    /// Returns the position of the offset of the first directory.
    fn first_offset_position(self) -> u64 {
        self.offset_len() as u64
    }

    /// Reads an unsigned integer of at most 8 bytes.
    fn read_integer(self, file: &mut impl Read, len: usize) -> io::Result<u64> {
        let mut bytes = [0; 8];
        file.read_exact(&mut bytes[..len])?;
        Ok(if self.big_endian {
            bytes[..len].iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
        } else {
            u64::from_le_bytes(bytes)
        })
    }
}

/// Returns the offsets of the directories of a TIFF file's pages. Reduced copies and masks are no pages, except for the first
/// image. Returns an empty list for other files. The chain of pages ends where it is malformed.
pub(super) fn tiff_pages(mut file: impl Read + Seek) -> io::Result<Vec<u64>> {
    file.rewind()?;
    let mut magic = [0; 4];
    let Some(layout) = file.read_exact(&mut magic).ok().and_then(|()| Layout::parse(magic)) else {
        return Ok(Vec::new());
    };
    file.seek(SeekFrom::Start(layout.first_offset_position()))?;
    let mut pages = Vec::new();
    let mut visited = std::collections::HashSet::new();
    let mut next = layout.read_integer(&mut file, layout.offset_len()).unwrap_or(0);
    while next > 0 && visited.len() < MAX_PAGES && visited.insert(next) {
        let Ok((is_page, following)) = read_ifd(&mut file, next, layout) else { break };
        if is_page || pages.is_empty() {
            pages.push(next);
        }
        next = following;
    }
    Ok(pages)
}

/// Reads the directory at an offset. Returns whether it is that of a page, and the offset of the next directory.
fn read_ifd(file: &mut (impl Read + Seek), offset: u64, layout: Layout) -> io::Result<(bool, u64)> {
    file.seek(SeekFrom::Start(offset))?;
    let count = layout.read_integer(file, if layout.is_big { 8 } else { 2 })?;
    if count > u64::from(u16::MAX) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut is_page = true;
    for _ in 0..count {
        let tag = layout.read_integer(file, 2)?;
        let kind = layout.read_integer(file, 2)?;
        layout.read_integer(file, layout.offset_len())?;
        // A short is in the first bytes of the value, in either order of bytes.
        let value_len = if kind == 3 { 2 } else { 4 };
        let value = layout.read_integer(file, value_len)?;
        io::copy(&mut file.take((layout.offset_len() - value_len) as u64), &mut io::sink())?;
        is_page &= tag != SUBFILE_TYPE || value & NON_PAGE_FLAGS == 0;
    }
    Ok((is_page, layout.read_integer(file, layout.offset_len())?))
}

/// A TIFF file in which another directory is the first, so that a decoder of the first image decodes that of the directory.
pub(super) struct TiffPage<R> {
    file: R,
    position: u64,
    /// The position of the offset of the first directory.
    patch_start: u64,
    /// The bytes that replace the offset.
    patch: Vec<u8>,
}

impl<R: Read + Seek> TiffPage<R> {
    /// Makes `directory` the first, an offset of [`tiff_pages`].
    pub fn new(mut file: R, directory: u64) -> io::Result<Self> {
        file.rewind()?;
        let mut magic = [0; 4];
        file.read_exact(&mut magic)?;
        let layout = Layout::parse(magic).ok_or(io::ErrorKind::InvalidData)?;
        let len = layout.offset_len();
        let patch = if layout.big_endian {
            directory.to_be_bytes()[8 - len..].to_vec()
        } else {
            directory.to_le_bytes()[..len].to_vec()
        };
        file.rewind()?;
        Ok(Self { file, position: 0, patch_start: layout.first_offset_position(), patch })
    }
}

impl<R: Read + Seek> Read for TiffPage<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let len = self.file.read(buffer)?;
        for (position, byte) in (self.patch_start..).zip(&self.patch) {
            if (self.position..self.position + len as u64).contains(&position) {
                buffer[(position - self.position) as usize] = *byte;
            }
        }
        self.position += len as u64;
        Ok(len)
    }
}

impl<R: Read + Seek> Seek for TiffPage<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.position = self.file.seek(to)?;
        Ok(self.position)
    }
}
