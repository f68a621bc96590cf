//! A bucket: which objects there are, under which condition one takes the place of another, and what a listing shows.
//!
//! Nothing here waits. Whoever changes a bucket holds it alone, so a condition holds until the change that depends on
//! it is made, and a content is whole before it comes here: so is every change.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use s3s::dto::{ETag, ETagCondition, Metadata};
use s3s::{S3Result, s3_error};

use super::content::Content;

/// An object as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) content: Arc<Content>,
    pub(super) content_type: Option<String>,
    pub(super) metadata: Option<Metadata>,
}

impl Object {
    pub(super) fn etag(&self) -> ETag {
        ETag::Strong(self.content.etag.clone())
    }
}

/// A multipart upload that is neither complete nor aborted.
#[derive(Debug)]
pub(super) struct Upload {
    pub(super) key: String,
    pub(super) content_type: Option<String>,
    pub(super) metadata: Option<Metadata>,
    pub(super) parts: BTreeMap<i32, Arc<Content>>,
}

/// What a conditional request asks of the object that is there.
#[derive(Debug, Default)]
pub(super) struct Condition {
    pub(super) if_match: Option<ETagCondition>,
    pub(super) if_none_match: Option<ETagCondition>,
}

impl Condition {
    /// Whether a write may take the place of what is there.
    ///
    /// # Errors
    ///
    /// As S3 answers: 412 if it may not, and 404 if something should be there and nothing is.
    fn check(&self, there: Option<&Object>) -> S3Result<()> {
        let is = |condition: &ETagCondition, object: &Object| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => object.etag().strong_cmp(etag),
        };
        match (&self.if_match, there) {
            (Some(_), None) => return Err(s3_error!(NoSuchKey)),
            (Some(condition), Some(object)) if !is(condition, object) => {
                return Err(s3_error!(PreconditionFailed, "the object is another one"));
            }
            _ => {}
        }
        match (&self.if_none_match, there) {
            (Some(condition), Some(object)) if is(condition, object) => {
                Err(s3_error!(PreconditionFailed, "the object is there already"))
            }
            _ => Ok(()),
        }
    }
}

/// One bucket.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    objects: BTreeMap<String, Object>,
    begun: u64,
    pub(super) uploads: HashMap<String, Upload>,
}

/// What to list.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) prefix: String,
    /// Keys that have this after the prefix are shown as one common prefix that ends with it.
    pub(super) delimiter: Option<String>,
    pub(super) after: After,
    pub(super) limit: usize,
}

/// Where a listing goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum After {
    #[default]
    Start,
    Key(String),
    /// After all keys that begin so: they were shown as one.
    CommonPrefix(String),
}

impl After {
    /// As a token for the next request.
    pub(super) fn token(&self) -> Option<String> {
        match self {
            Self::Start => None,
            Self::Key(key) => Some(format!("k{key}")),
            Self::CommonPrefix(prefix) => Some(format!("p{prefix}")),
        }
    }

    /// From the token of the request before.
    ///
    /// # Errors
    ///
    /// If it is none of ours.
    pub(super) fn from_token(token: &str) -> S3Result<Self> {
        match (token.strip_prefix('k'), token.strip_prefix('p')) {
            (Some(key), _) => Ok(Self::Key(key.to_owned())),
            (_, Some(prefix)) => Ok(Self::CommonPrefix(prefix.to_owned())),
            _ => Err(s3_error!(
                InvalidArgument,
                "the continuation token is not one of ours"
            )),
        }
    }

    fn hides(&self, key: &str) -> bool {
        match self {
            Self::Start => false,
            Self::Key(last) => key <= last.as_str(),
            Self::CommonPrefix(last) => key < last.as_str() || key.starts_with(last.as_str()),
        }
    }
}

/// One page of a listing.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) objects: Vec<(String, Object)>,
    pub(super) common_prefixes: Vec<String>,
    /// Where the next page begins; none if this is the last.
    pub(super) next: Option<After>,
}

impl Bucket {
    pub(super) fn get(&self, key: &str) -> Option<&Object> {
        self.objects.get(key)
    }

    /// Puts an object in its place if the condition holds. Gives the one that was there, so that whoever put it can
    /// let go of it without holding the bucket.
    ///
    /// # Errors
    ///
    /// If the condition does not hold.
    pub(super) fn put(
        &mut self,
        key: &str,
        object: Object,
        condition: &Condition,
    ) -> S3Result<Option<Object>> {
        condition.check(self.objects.get(key))?;
        Ok(self.objects.insert(key.to_owned(), object))
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Object> {
        self.objects.remove(key)
    }

    /// Begins a multipart upload. Gives its id.
    pub(super) fn begin(&mut self, upload: Upload) -> String {
        self.begun += 1;
        let id = format!("upload-{}", self.begun);
        self.uploads.insert(id.clone(), upload);
        id
    }

    /// The keys that the query asks for, in order.
    pub(super) fn list(&self, query: &Query) -> Page {
        let from = match &query.after {
            After::Key(last) | After::CommonPrefix(last) if *last > query.prefix => last,
            _ => &query.prefix,
        };
        let mut page = Page::default();
        let mut last = query.after.clone();
        let range = (Bound::Included(from.as_str()), Bound::Unbounded);
        for (key, object) in self.objects.range::<str, _>(range) {
            let Some(rest) = key.strip_prefix(query.prefix.as_str()) else {
                break;
            };
            if last.hides(key) {
                continue;
            }
            if page.objects.len() + page.common_prefixes.len() == query.limit {
                page.next = Some(last);
                break;
            }
            let end = query
                .delimiter
                .as_deref()
                .and_then(|delimiter| Some(rest.find(delimiter)? + delimiter.len()));
            if let Some(end) = end {
                let common = key[..query.prefix.len() + end].to_owned();
                page.common_prefixes.push(common.clone());
                last = After::CommonPrefix(common);
            } else {
                page.objects.push((key.clone(), object.clone()));
                last = After::Key(key.clone());
            }
        }
        page
    }
}
