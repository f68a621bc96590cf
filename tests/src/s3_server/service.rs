//! The operations of S3 on buckets whose contents are files.
//!
//! A request's body is read to its end before anything is decided: a client that is refused while it still sends takes
//! the broken connection for the answer.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CommonPrefix, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource,
    CreateBucketInput, CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject, ETag,
    GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input,
    ListObjectsV2Output, Object as Listed, PutObjectInput, PutObjectOutput, StreamingBlob, UploadPartInput,
    UploadPartOutput,
};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use super::bucket::{After, Bucket, Condition, Object, Query, Upload};
use super::content::{Content, Contents};

/// How many keys a page of a listing holds at most, as S3 has it.
const PAGE: usize = 1_000;
/// What S3 wants every part of an upload but the last to hold.
const SMALLEST_PART: u64 = 5 << 20;

/// The store: buckets, and where their contents are.
#[derive(Debug)]
pub(super) struct Service {
    buckets: Mutex<HashMap<String, Bucket>>,
    contents: Arc<Contents>,
}

impl Service {
    pub(super) fn new(contents: Contents, buckets: &[&str]) -> Self {
        let buckets = buckets.iter().map(|name| ((*name).to_owned(), Bucket::default()));
        Self {
            buckets: Mutex::new(buckets.collect()),
            contents: Arc::new(contents),
        }
    }

    /// Looks at or changes a bucket. Nobody else does meanwhile.
    fn with<T>(&self, bucket: &str, work: impl FnOnce(&mut Bucket) -> S3Result<T>) -> S3Result<T> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        work(buckets.get_mut(bucket).ok_or_else(|| s3_error!(NoSuchBucket))?)
    }

    fn find(&self, bucket: &str, key: &str) -> S3Result<Object> {
        self.with(bucket, |bucket| {
            bucket.get(key).cloned().ok_or_else(|| s3_error!(NoSuchKey))
        })
    }

    fn put(&self, bucket: &str, key: &str, object: Object, condition: &Condition) -> S3Result<()> {
        // What it replaces is removed from the disk after the bucket is free again.
        let _replaced = self.with(bucket, |bucket| bucket.put(key, object, condition))?;
        Ok(())
    }

    /// The parts that make up an upload, in order.
    fn parts(&self, input: &CompleteMultipartUploadInput) -> S3Result<Vec<Arc<Content>>> {
        let named = input
            .multipart_upload
            .as_ref()
            .and_then(|upload| upload.parts.as_ref());
        let named = named
            .filter(|parts| !parts.is_empty())
            .ok_or_else(|| s3_error!(MalformedXML))?;
        if !named.is_sorted_by(|one, next| one.part_number < next.part_number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let parts = self.with(&input.bucket, |bucket| {
            let upload = upload(bucket, &input.key, &input.upload_id)?;
            let part = |part: &s3s::dto::CompletedPart| {
                let content = part.part_number.and_then(|number| upload.parts.get(&number))?;
                let etag = part.e_tag.as_ref().map(ETag::value);
                (etag == Some(&content.etag)).then(|| Arc::clone(content))
            };
            let parts = named.iter().map(part).collect::<Option<Vec<_>>>();
            parts.ok_or_else(|| s3_error!(InvalidPart))
        })?;
        let (_, but_last) = parts.split_last().ok_or_else(|| s3_error!(InvalidPart))?;
        if but_last.iter().any(|part| part.length < SMALLEST_PART) {
            return Err(s3_error!(EntityTooSmall));
        }
        Ok(parts)
    }
}

fn upload<'a>(bucket: &'a mut Bucket, key: &str, id: &str) -> S3Result<&'a mut Upload> {
    let upload = bucket.uploads.get_mut(id).filter(|upload| upload.key == key);
    upload.ok_or_else(|| s3_error!(NoSuchUpload))
}

fn signed(length: u64) -> S3Result<i64> {
    i64::try_from(length).map_err(|error| s3_error!(error, InternalError))
}

#[async_trait::async_trait]
impl S3 for Service {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        // As S3 has it where it began: one's own is made once more.
        buckets.entry(request.input.bucket).or_default();
        Ok(S3Response::new(CreateBucketOutput::default()))
    }

    async fn put_object(&self, request: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let object = Object {
            content: Arc::new(self.contents.receive(input.body).await?),
            content_type: input.content_type,
            metadata: input.metadata,
        };
        let condition = Condition {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let e_tag = Some(object.etag());
        self.put(&input.bucket, &input.key, object, &condition)?;
        Ok(S3Response::new(PutObjectOutput {
            e_tag,
            ..PutObjectOutput::default()
        }))
    }

    async fn get_object(&self, request: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let object = self.find(&input.bucket, &input.key)?;
        let (etag, length) = (object.etag(), object.content.length);
        if input
            .if_match
            .is_some_and(|wanted| wanted.as_etag().is_some_and(|wanted| !etag.strong_cmp(wanted)))
        {
            return Err(s3_error!(PreconditionFailed));
        }
        if input
            .if_none_match
            .is_some_and(|known| known.as_etag().is_none_or(|known| etag.weak_cmp(known)))
        {
            return Err(s3_error!(NotModified));
        }
        let range = input.range.map(|range| range.check(length)).transpose()?;
        let content_range = range
            .as_ref()
            .map(|range| format!("bytes {}-{}/{length}", range.start, range.end - 1));
        let bytes: Bytes = object.content.read(range.unwrap_or(0..length)).await?;
        Ok(S3Response::new(GetObjectOutput {
            content_length: Some(signed(bytes.len() as u64)?),
            body: Some(StreamingBlob::wrap(stream::iter([Ok::<_, io::Error>(bytes)]))),
            content_range,
            content_type: object.content_type,
            e_tag: Some(etag),
            last_modified: Some(object.content.modified.into()),
            metadata: object.metadata,
            ..GetObjectOutput::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let object = self.find(&request.input.bucket, &request.input.key)?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: Some(signed(object.content.length)?),
            e_tag: Some(object.etag()),
            last_modified: Some(object.content.modified.into()),
            content_type: object.content_type,
            metadata: object.metadata,
            ..HeadObjectOutput::default()
        }))
    }

    async fn copy_object(
        &self,
        request: S3Request<CopyObjectInput>,
    ) -> S3Result<S3Response<CopyObjectOutput>> {
        let input = request.input;
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented));
        };
        let object = self.find(bucket, key)?;
        let result = CopyObjectResult {
            e_tag: Some(object.etag()),
            last_modified: Some(object.content.modified.into()),
            ..CopyObjectResult::default()
        };
        self.put(&input.bucket, &input.key, object, &Condition::default())?;
        Ok(S3Response::new(CopyObjectOutput {
            copy_object_result: Some(result),
            ..CopyObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let input = request.input;
        let _removed = self.with(&input.bucket, |bucket| Ok(bucket.remove(&input.key)))?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let input = request.input;
        let keys: Vec<String> = input
            .delete
            .objects
            .into_iter()
            .map(|object| object.key)
            .collect();
        let _removed = self.with(&input.bucket, |bucket| {
            Ok(keys
                .iter()
                .filter_map(|key| bucket.remove(key))
                .collect::<Vec<_>>())
        })?;
        let deleted = |key| DeletedObject {
            key: Some(key),
            ..DeletedObject::default()
        };
        let told = !input.delete.quiet.unwrap_or(false);
        Ok(S3Response::new(DeleteObjectsOutput {
            deleted: told.then(|| keys.into_iter().map(deleted).collect()),
            ..DeleteObjectsOutput::default()
        }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let after = match (&input.continuation_token, &input.start_after) {
            (Some(token), _) => After::from_token(token)?,
            (None, Some(key)) => After::Key(key.clone()),
            (None, None) => After::Start,
        };
        let asked = input.max_keys.and_then(|keys| usize::try_from(keys).ok());
        let limit = asked.unwrap_or(PAGE).min(PAGE);
        let query = Query {
            prefix: input.prefix.clone().unwrap_or_default(),
            delimiter: input.delimiter.clone(),
            after,
            limit,
        };
        let page = self.with(&input.bucket, |bucket| Ok(bucket.list(&query)))?;
        let count = page.objects.len() + page.common_prefixes.len();
        let listed = |(key, object): (String, Object)| {
            Ok(Listed {
                key: Some(key),
                e_tag: Some(object.etag()),
                size: Some(signed(object.content.length)?),
                last_modified: Some(object.content.modified.into()),
                ..Listed::default()
            })
        };
        let common = |prefix| CommonPrefix { prefix: Some(prefix) };
        Ok(S3Response::new(ListObjectsV2Output {
            contents: Some(page.objects.into_iter().map(listed).collect::<S3Result<_>>()?),
            common_prefixes: Some(page.common_prefixes.into_iter().map(common).collect()),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next.and_then(|next| next.token()),
            key_count: i32::try_from(count).ok(),
            max_keys: i32::try_from(limit).ok(),
            continuation_token: input.continuation_token,
            start_after: input.start_after,
            delimiter: input.delimiter,
            prefix: input.prefix,
            name: Some(input.bucket),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        let upload = Upload {
            key: input.key.clone(),
            content_type: input.content_type,
            metadata: input.metadata,
            parts: BTreeMap::new(),
        };
        let id = self.with(&input.bucket, |bucket| Ok(bucket.begin(upload)))?;
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let content = Arc::new(self.contents.receive(input.body).await?);
        let e_tag = Some(ETag::Strong(content.etag.clone()));
        let _replaced = self.with(&input.bucket, |bucket| {
            let upload = upload(bucket, &input.key, &input.upload_id)?;
            Ok(upload.parts.insert(input.part_number, content))
        })?;
        Ok(S3Response::new(UploadPartOutput {
            e_tag,
            ..UploadPartOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let content = Arc::new(self.contents.join(self.parts(&input)?).await?);
        let condition = Condition {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
        };
        let etag = ETag::Strong(content.etag.clone());
        let _replaced = self.with(&input.bucket, |bucket| {
            let upload = upload(bucket, &input.key, &input.upload_id)?;
            let object = Object {
                content,
                content_type: upload.content_type.clone(),
                metadata: upload.metadata.clone(),
            };
            let replaced = bucket.put(&input.key, object, &condition)?;
            Ok((replaced, bucket.uploads.remove(&input.upload_id)))
        })?;
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(etag),
            ..CompleteMultipartUploadOutput::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let input = request.input;
        let _removed = self.with(&input.bucket, |bucket| {
            upload(bucket, &input.key, &input.upload_id)?;
            Ok(bucket.uploads.remove(&input.upload_id))
        })?;
        Ok(S3Response::new(AbortMultipartUploadOutput::default()))
    }
}
