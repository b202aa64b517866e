//! Division of work into chunks of nearly equal length, for threads and for register tiles.

/// Returns `(start, len)` of chunk `index` when `0..total` is divided into `count` chunks whose lengths differ by at most
/// one.
///
/// Chunk 0 is among the longest, because the thread that distributes the work processes it while the other threads are
/// still waking up.
///
/// # Panics
///
/// If `count` is 0.
#[inline(always)]
pub fn even_chunk(total: usize, count: usize, index: usize) -> (usize, usize) {
    let start = (total * index).div_ceil(count);
    (start, (total * (index + 1)).div_ceil(count) - start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_the_range_and_the_first_is_among_the_longest() {
        for total in 0..40 {
            for count in 1..12 {
                let chunks: Vec<_> = (0..count).map(|index| even_chunk(total, count, index)).collect();
                let mut end = 0;
                for &(start, len) in &chunks {
                    assert_eq!(start, end);
                    assert!(len <= chunks[0].1 && len + 1 >= chunks[0].1, "{total} in {count}: {chunks:?}");
                    end = start + len;
                }
                assert_eq!(end, total);
            }
        }
    }
}
