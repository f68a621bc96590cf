//! Every way to write a place, and every way to get it wrong.

use super::*;

fn dir(engine: Option<EngineKind>, path: &str) -> Place {
    Place::Dir {
        engine,
        path: path.into(),
    }
}

fn store(service: Service, url: &str) -> Place {
    Place::Store {
        service,
        url: url.to_owned(),
    }
}

fn parse(text: &str) -> Result<StateUrl, StateUrlError> {
    text.parse()
}

#[test]
fn every_place_is_read_and_shown_as_it_was_written() {
    let memory = Some(EngineKind::Memory);
    let fjall = Some(EngineKind::Fjall);
    let rocksdb = Some(EngineKind::RocksDb);
    for (text, place) in [
        ("memory:", Place::Ram),
        ("memory:./state", dir(memory, "./state")),
        ("fjall:state", dir(fjall, "state")),
        ("fjall:/var/lib/state", dir(fjall, "/var/lib/state")),
        ("fjall:.", dir(fjall, ".")),
        ("fjall:a:b", dir(fjall, "a:b")),
        ("rocksdb:../state", dir(rocksdb, "../state")),
        ("state", dir(None, "state")),
        ("./state", dir(None, "./state")),
        ("/var/lib/state", dir(None, "/var/lib/state")),
        ("./fjall:state", dir(None, "./fjall:state")),
        ("a/b:c", dir(None, "a/b:c")),
        ("fjall", dir(None, "fjall")),
        (" ", dir(None, " ")),
        ("file:///srv/state", store(Service::File, "file:///srv/state")),
        ("s3://bucket", store(Service::S3, "s3://bucket")),
        ("s3://bucket/", store(Service::S3, "s3://bucket/")),
        ("s3://bucket/a/b@c", store(Service::S3, "s3://bucket/a/b@c")),
        ("az://container/a", store(Service::Azure, "az://container/a")),
        ("gs://bucket/a", store(Service::Gcs, "gs://bucket/a")),
    ] {
        let url = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(url.0, place, "{text}");
        assert_eq!(url.to_string(), text);
        assert_eq!(serde_json::to_value(&url).unwrap(), serde_json::Value::from(text));
        assert_eq!(serde_json::from_value::<StateUrl>(text.into()).unwrap(), url);
    }
}

#[test]
fn whatever_else_is_written_is_told_what_to_write() {
    for (text, part) in [
        ("", "it is empty"),
        ("redis://localhost", "there is no `redis:`"),
        ("fjal:./state", "there is no `fjal:`"),
        ("FJALL:./state", "there is no `FJALL:`"),
        ("C:\\state", "there is no `C:`"),
        ("2024:01", "`./2024:…`"),
        ("my state:1", "with a colon in its name is written `./NAME`"),
        (":", "is no scheme"),
        (" fjall:x", "is no scheme"),
        ("fjall:", "followed by a directory, as in `fjall:./state`"),
        ("rocksdb:", "as in `rocksdb:./state`"),
        ("fjall://state", "as in `fjall:./state` or `fjall:/var/lib/state`"),
        ("fjall:///srv/state", "`fjall:/var/lib/state`"),
        ("memory://", "as in `memory:./state`"),
        ("file:", "written `file:///DIR`"),
        ("file:/srv/state", "written `file:///DIR`"),
        ("file:state", "written `file:///DIR`"),
        ("file://srv/state", "written `file:///DIR`"),
        ("file:///", "written `file:///DIR`"),
        ("s3:", "written `s3://BUCKET/PREFIX`"),
        ("s3:bucket/prefix", "written `s3://BUCKET/PREFIX`"),
        ("s3:/bucket", "written `s3://BUCKET/PREFIX`"),
        ("s3://", "written `s3://BUCKET/PREFIX`"),
        ("s3:///prefix", "written `s3://BUCKET/PREFIX`"),
        ("az://", "written `az://CONTAINER/PREFIX`"),
        ("gs:///", "written `gs://BUCKET/PREFIX`"),
        ("file:///srv/state?a", "no `?`"),
        ("gs://bucket/a#b", "no `#`"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
    for unknown in ["", "redis://localhost", "my state:1"] {
        let said = parse(unknown).unwrap_err().to_string();
        for known in EngineKind::ALL
            .map(EngineKind::as_str)
            .into_iter()
            .chain(Service::ALL.map(Service::scheme))
        {
            assert!(said.contains(&format!("`{known}:")), "{said}");
        }
    }
}

#[test]
fn no_error_shows_a_password() {
    for text in [
        "s3://AKIA:hunter2@bucket/prefix",
        "s3://hunter2@bucket",
        "az://container/prefix?sig=hunter2",
        "gs://bucket#hunter2",
        "file://me:hunter2@host/srv",
        "redis://:hunter2@localhost",
        "memory://hunter2",
        "AccountName=me;AccountKey=hunter2;Url=https://x",
    ] {
        let error = parse(text).expect_err(text);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn only_a_state_directory_has_a_path() {
    assert_eq!(parse("fjall:x").unwrap().dir(), Some("x".as_ref()));
    assert_eq!(parse("x").unwrap().dir(), Some("x".as_ref()));
    for none in ["memory:", "file:///x", "s3://x"] {
        assert_eq!(parse(none).unwrap().dir(), None);
    }
}

#[cfg(unix)]
#[test]
fn a_bare_directory_may_have_any_name() {
    use std::os::unix::ffi::OsStringExt as _;

    let typed = |bytes: &[u8]| StateUrl::try_from(OsString::from_vec(bytes.to_vec()));
    let odd = typed(b"./\xff:").unwrap();
    assert!(odd.dir().unwrap().to_str().is_none());
    assert!(serde_json::to_string(&odd).is_err());
    assert_eq!(typed(b"fjall:\xff"), Err(StateUrlError::NotUtf8));
    assert_eq!(typed(b"fjall:x"), parse("fjall:x"));
}
