//! The buffer grows in a burst, shrinks after it, and keeps its bytes through both.

use super::{ReadBuffer, SMALL_READS_TO_SHRINK};

const START: usize = 64;
const MAX: usize = 256;

async fn read(buffer: &mut ReadBuffer, mut source: &[u8]) -> usize {
    buffer.read_from(&mut source).await.expect("a slice cannot fail")
}

#[tokio::test]
async fn bytes_keep_their_order_while_the_buffer_grows_and_shrinks() {
    let mut buffer = ReadBuffer::new(START, MAX, b"left over");
    assert_eq!(buffer.filled(), b"left over");
    let mut want = b"left over".to_vec();
    let mut largest = 0;
    for n in 0..2000_usize {
        // A burst of full reads, then trickles; never emptied, as when a frame is cut in two.
        let chunk = vec![n as u8; if n < 10 { 2 * MAX } else { 5 }];
        let count = read(&mut buffer, &chunk).await;
        assert!(count > 0, "there was no room");
        want.extend_from_slice(&chunk[..count]);
        assert_eq!(buffer.filled(), want);
        largest = largest.max(buffer.capacity());
        let consume = want.len().saturating_sub(3);
        buffer.consume(consume);
        want.drain(..consume);
    }
    assert_eq!(largest, MAX);
    assert_eq!(buffer.capacity(), START);
}

#[tokio::test]
async fn a_burst_that_pauses_shortly_keeps_its_buffer() {
    let mut buffer = ReadBuffer::new(START, MAX, &[]);
    for _ in 0..3 {
        for _ in 0..SMALL_READS_TO_SHRINK - 1 {
            read(&mut buffer, b"small").await;
            buffer.consume(5);
        }
        let count = read(&mut buffer, &[0; MAX]).await;
        buffer.consume(count);
    }
    assert_eq!(buffer.capacity(), MAX);
}
