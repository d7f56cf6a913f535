//! The frame of every file here: `u32be len ‖ u32be crc32c ‖ body`.

use entente_ledger::disk::DiskFile;

use crate::SidecarError;

/// Adds a frame.
pub(crate) fn put(out: &mut Vec<u8>, body: &[u8]) -> Result<(), SidecarError> {
    let len = u32::try_from(body.len()).map_err(|_| SidecarError::Size)?;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(&crc32c::crc32c(body).to_be_bytes());
    out.extend_from_slice(body);
    Ok(())
}

/// The frame that `bytes` begin with, and what follows it; none when it is not whole.
pub(crate) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([a, b, c, d, crc @ ..], rest) = bytes.split_first_chunk::<8>()?;
    let len = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
    let (body, rest) = rest.split_at_checked(len).filter(|_| len > 0)?;
    (crc32c::crc32c(body) == u32::from_be_bytes(*crc)).then_some((body, rest))
}

/// The frame at `offset`; none at the end of the file or of what is whole.
pub(crate) fn read(file: &dyn DiskFile, offset: u64) -> Result<Option<Vec<u8>>, SidecarError> {
    let mut head = [0; 8];
    if file.read_at(offset, &mut head)? < head.len() {
        return Ok(None);
    }
    let [a, b, c, d, crc @ ..] = head;
    let len = u32::from_be_bytes([a, b, c, d]) as usize;
    if len == 0 || len > MAX {
        return Ok(None);
    }
    let mut body = vec![0; len];
    let whole = file.read_at(offset + 8, &mut body)? == len;
    Ok((whole && crc32c::crc32c(&body) == u32::from_be_bytes(crc)).then_some(body))
}

/// Where the next whole frame begins after a damaged one; none when nothing but the remains of a crash
/// follows.
pub(crate) fn next(file: &dyn DiskFile, damaged: u64) -> Result<Option<u64>, SidecarError> {
    let mut bytes = vec![0; SEARCHED];
    let len = file.read_at(damaged, &mut bytes)?;
    bytes.truncate(len);
    let found = (1..len).find(|at| split(&bytes[*at..]).is_some());
    Ok(found.map(|at| damaged + at as u64))
}

/// The longest frame believed, in bytes.
const MAX: usize = 18 * 1024 * 1024;

/// How far a whole frame is looked for after a damaged one, in bytes: wrapped keys take about 150.
const SEARCHED: usize = 64 * 1024;
