//! Envoy's messages in gRPC's frames.

use prost::{
    Message,
    bytes::{Buf, BufMut},
};
use tonic::{
    Status,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
};

use super::{
    entries,
    messages::{CheckRequest, CheckResponse},
};

/// Reads from and writes to plain bytes, in one piece: field by field tonic's buffers take two thirds longer.
#[derive(Clone, Copy, Default)]
pub(super) struct CheckCodec;

impl Codec for CheckCodec {
    type Encode = CheckResponse;
    type Decode = CheckRequest;
    type Encoder = CheckCodec;
    type Decoder = CheckCodec;

    fn encoder(&mut self) -> CheckCodec {
        CheckCodec
    }

    fn decoder(&mut self) -> CheckCodec {
        CheckCodec
    }
}

impl Decoder for CheckCodec {
    type Item = CheckRequest;
    type Error = Status;

    fn decode(&mut self, frame: &mut DecodeBuf<'_>) -> Result<Option<CheckRequest>, Status> {
        let bytes = frame.copy_to_bytes(frame.remaining());
        if entries::too_many(&bytes) {
            let most = entries::MAX_ENTRIES;
            let detail = format!("the request has more headers or context extensions than {most}: send fewer");
            return Err(Status::resource_exhausted(detail));
        }
        let message = CheckRequest::decode(bytes);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Encoder for CheckCodec {
    type Item = CheckResponse;
    type Error = Status;

    fn encode(&mut self, message: CheckResponse, frame: &mut EncodeBuf<'_>) -> Result<(), Status> {
        frame.put_slice(&message.encode_to_vec());
        Ok(())
    }
}
