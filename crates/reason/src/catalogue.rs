//! Long on purpose: the whole catalogue is one list, so that nobody looks for a reason in two places.
//!
//! To add a reason: put its row in alphabetical place, add the code to `published.txt`, run
//! `cargo xtask docs reasons`, and write the test that provokes it. Never rename or remove one.

use super::{At, GrpcCode, Row};

macro_rules! catalogue {
    ($(
        #[doc = $doc:literal]
        $variant:ident = $code:literal, $grpc:ident, $at:ident,
        en: $en:literal, $remedy_en:literal,
        fr: $fr:literal, $remedy_fr:literal;
    )*) => {
        /// Why a call or a change was refused or failed. Alphabetical, append-only.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Reason {
            $( #[doc = $doc] $variant, )*
        }

        impl Reason {
            /// Every reason, sorted by code.
            pub const ALL: &'static [Self] = &[ $( Self::$variant, )* ];

            pub(super) fn row(self) -> &'static Row {
                match self {
                    $( Self::$variant => &Row {
                        code: $code,
                        grpc: GrpcCode::$grpc,
                        at: At::$at,
                        en: $en,
                        remedy_en: $remedy_en,
                        fr: $fr,
                        remedy_fr: $remedy_fr,
                        doc: $doc,
                    }, )*
                }
            }
        }
    };
}

catalogue! {
    /// The act does not follow from the agreement's state, sequence or previous act.
    AgreementActRefused = "AGREEMENT_ACT_REFUSED", FAILED_PRECONDITION, Registry,
    en: "This act does not fit the agreement's present state.",
        "Look at its state with `entente agreement show`, then send the act that fits.",
    fr: "Cet acte ne convient pas à l’état actuel de l’entente.",
        "Vérifiez son état avec `entente agreement show`, puis envoyez l’acte qui convient.";

    /// Several clauses permit the call and the caller named none of them.
    AgreementAmbiguous = "AGREEMENT_AMBIGUOUS", FAILED_PRECONDITION, Caller,
    en: "More than one agreement clause permits this call.",
        "Name the one you rely on in the header entente-agreement.",
    fr: "Plus d’une clause d’entente autorise cet appel.",
        "Nommez celle que vous invoquez dans l’en-tête entente-agreement.";

    /// The agreement's not-after has passed.
    AgreementExpired = "AGREEMENT_EXPIRED", FAILED_PRECONDITION, CallerServer,
    en: "The agreement for this call has expired.",
        "Ask the agreement's steward to renew it.",
    fr: "L’entente qui couvre cet appel est échue.",
        "Demandez au responsable de l’entente de la renouveler.";

    /// The agreement document does not parse, is not canonical, or fails its checks.
    AgreementInvalid = "AGREEMENT_INVALID", INVALID_ARGUMENT, Caller,
    en: "The agreement document is not valid.",
        "Run `entente agreement check` on it and mend what it names.",
    fr: "Le document de l’entente n’est pas valide.",
        "Vérifiez-le avec `entente agreement check` et corrigez ce qui est signalé.";

    /// The agreement's not-before is still to come.
    AgreementNotStarted = "AGREEMENT_NOT_STARTED", FAILED_PRECONDITION, CallerServer,
    en: "The agreement for this call is not in force yet.",
        "Wait for its first day, or ask the steward about the date.",
    fr: "L’entente qui couvre cet appel n’est pas encore en vigueur.",
        "Attendez sa date de début ou consultez le responsable de l’entente.";

    /// A party ended the agreement before its last day.
    AgreementRevoked = "AGREEMENT_REVOKED", PERMISSION_DENIED, CallerServer,
    en: "The agreement for this call has been revoked.",
        "Stop these calls and ask the steward whether another agreement replaces it.",
    fr: "L’entente qui couvre cet appel a été révoquée.",
        "Cessez ces appels et demandez au responsable si une autre entente la remplace.";

    /// A party or a named oversight body suspended the agreement.
    AgreementSuspended = "AGREEMENT_SUSPENDED", FAILED_PRECONDITION, CallerServer,
    en: "The agreement for this call is suspended.",
        "Ask the steward why and until when; calls resume once the suspension is lifted.",
    fr: "L’entente qui couvre cet appel est suspendue.",
        "Demandez au responsable la raison et la durée; les appels reprendront à la levée de la suspension.";

    /// No application of this name waits for the registrar.
    ApplicationUnknown = "APPLICATION_UNKNOWN", NOT_FOUND, Registry,
    en: "The registry has no such application waiting.",
        "List the waiting applications, or send the application again.",
    fr: "Le registre n’a aucune demande de ce nom en attente.",
        "Consultez la liste des demandes en attente ou présentez la demande de nouveau.";

    /// The clause demands a stronger proof of the end user's identity.
    AssuranceTooLow = "ASSURANCE_TOO_LOW", FAILED_PRECONDITION, Caller,
    en: "The end user's identity is not proven strongly enough for this clause.",
        "Sign the user in at the assurance level the clause demands, then call again.",
    fr: "L’identité de l’utilisateur n’est pas établie avec l’assurance exigée par la clause.",
        "Authentifiez l’utilisateur au niveau d’assurance exigé, puis reprenez l’appel.";

    /// The author's key may not make this kind of change for this name.
    AuthorNotAllowed = "AUTHOR_NOT_ALLOWED", PERMISSION_DENIED, Registry,
    en: "The author of this change may not make it.",
        "Have it signed by the role that may: registrar, member, officer or recovery.",
    fr: "L’auteur de ce changement n’est pas habilité à le faire.",
        "Faites-le signer par le rôle habilité : registraire, membre, agent autorisé ou recouvrement.";

    /// A field of the request has a form the contract or the adapter does not accept.
    BadField = "BAD_FIELD", INVALID_ARGUMENT, Caller,
    en: "A field of the request is not acceptable.",
        "Mend the field named in the details; its value is never repeated here.",
    fr: "Un champ de la demande n’est pas acceptable.",
        "Corrigez le champ nommé dans les détails; sa valeur n’est jamais reprise ici.";

    /// The source returned a record that does not fit the adapter's file.
    BadRecord = "BAD_RECORD", DATA_LOSS, Adapter,
    en: "The source holds a record that cannot be read as agreed.",
        "The owner of the source has to mend the record; no value is shown.",
    fr: "La source contient un enregistrement illisible selon le format convenu.",
        "Le propriétaire de la source doit le corriger; aucune valeur n’est affichée.";

    /// The bytes sent are not those of the hash that names them.
    BlobMismatch = "BLOB_MISMATCH", INVALID_ARGUMENT, Registry,
    en: "The document does not match the hash that names it.",
        "Send the exact bytes that were signed.",
    fr: "Le document ne correspond pas à l’empreinte qui le désigne.",
        "Envoyez exactement les octets qui ont été signés.";

    /// A change rests on a document that is not held here yet.
    BlobMissing = "BLOB_MISSING", FAILED_PRECONDITION, Registry,
    en: "A document that this change rests on is missing.",
        "Send the document first, then the change.",
    fr: "Il manque un document sur lequel ce changement repose.",
        "Envoyez d’abord le document, puis le changement.";

    /// A document above 4 MiB.
    BlobTooLarge = "BLOB_TOO_LARGE", RESOURCE_EXHAUSTED, Registry,
    en: "The document is larger than the registry accepts.",
        "Keep it under 4 MiB.",
    fr: "Le document dépasse la taille acceptée par le registre.",
        "Limitez-le à 4 Mio.";

    /// More changes in a day, or more of something at a time, than the registry takes from one author.
    BudgetSpent = "BUDGET_SPENT", RESOURCE_EXHAUSTED, Caller,
    en: "The registry takes no more of this from its author.",
        "Retire what is no longer used, or go on after midnight UTC; revoking and suspending always pass.",
    fr: "Le registre n’accepte plus rien de tel de cet auteur.",
        "Retirez ce qui ne sert plus ou reprenez après minuit UTC; révoquer et suspendre restent toujours possibles.";

    /// A local caller asked in the name of a system that is not its own.
    CallerMismatch = "CALLER_MISMATCH", PERMISSION_DENIED, Caller,
    en: "This caller may not speak for the system it named.",
        "Call with the identity issued to that system, or name your own.",
    fr: "Cet appelant ne peut pas parler au nom du système indiqué.",
        "Utilisez l’identité délivrée à ce système ou indiquez le vôtre.";

    /// A local caller that proves no identity this server knows.
    CallerUnknown = "CALLER_UNKNOWN", UNAUTHENTICATED, Caller,
    en: "The security server does not know this caller.",
        "Present the certificate or token that the operator issued to your system.",
    fr: "Le serveur de sécurité ne connaît pas cet appelant.",
        "Présentez le certificat ou le jeton que l’exploitant a délivré à votre système.";

    /// The clause demands a case reference and none was given.
    CaseRequired = "CASE_REQUIRED", FAILED_PRECONDITION, Caller,
    en: "This clause demands a case reference.",
        "Add the header entente-case.",
    fr: "Cette clause exige un numéro de dossier.",
        "Ajoutez l’en-tête entente-case.";

    /// A change whose own last moment has passed.
    ChangeExpired = "CHANGE_EXPIRED", FAILED_PRECONDITION, Caller,
    en: "The change was sent after its own last moment.",
        "Sign it again with a later limit.",
    fr: "Le changement a été envoyé après sa propre date limite.",
        "Signez-le de nouveau avec une échéance plus tardive.";

    /// A change that is not strict deterministic CBOR of the known form.
    ChangeMalformed = "CHANGE_MALFORMED", INVALID_ARGUMENT, Caller,
    en: "The change cannot be read.",
        "Make it with a current version of entente.",
    fr: "Le changement est illisible.",
        "Préparez-le avec une version à jour d’entente.";

    /// The author's sequence or previous hash does not continue the author's last change.
    ChangeOutOfOrder = "CHANGE_OUT_OF_ORDER", ABORTED, Caller,
    en: "The change does not follow its author's last one.",
        "Fetch the author's last change, sign the new one upon it and send it again.",
    fr: "Le changement ne fait pas suite au dernier de son auteur.",
        "Récupérez le dernier changement de l’auteur, signez le nouveau à sa suite et renvoyez-le.";

    /// A change above 16 KiB.
    ChangeTooLarge = "CHANGE_TOO_LARGE", RESOURCE_EXHAUSTED, Caller,
    en: "The change is larger than 16 KiB.",
        "Put large content in a document and name it by its hash.",
    fr: "Le changement dépasse 16 Kio.",
        "Placez le contenu volumineux dans un document et désignez-le par son empreinte.";

    /// This server's clock is behind its own ledger, or out of tolerance.
    ClockOff = "CLOCK_OFF", FAILED_PRECONDITION, CallerServer,
    en: "The security server's clock is wrong, so it signs nothing.",
        "Its operator has to set the clock right; then try again.",
    fr: "L’horloge du serveur de sécurité est fausse; il ne signe donc rien.",
        "Son exploitant doit la mettre à l’heure; réessayez ensuite.";

    /// An opening in the sealed part does not give the signed commitment.
    CommitmentMismatch = "COMMITMENT_MISMATCH", UNAUTHENTICATED, ProviderServer,
    en: "The content received is not the content that was signed.",
        "Treat it as a security event: both operators keep the evidence and compare.",
    fr: "Le contenu reçu n’est pas celui qui a été signé.",
        "Traitez-le comme un incident de sécurité : les deux exploitants conservent la preuve et comparent.";

    /// A service version that would break callers of the version before.
    ContractBreaking = "CONTRACT_BREAKING", FAILED_PRECONDITION, Caller,
    en: "The new contract would break those who call the present one.",
        "Only add fields and methods, or publish it as a new service.",
    fr: "Le nouveau contrat romprait les appels au contrat actuel.",
        "N’ajoutez que des champs et des méthodes, ou publiez un nouveau service.";

    /// A contract that does not build, or holds a field whose release cannot be controlled.
    ContractInvalid = "CONTRACT_INVALID", INVALID_ARGUMENT, Caller,
    en: "The contract cannot be published.",
        "Mend what the details name; a field that cannot be filtered must be wholly one element.",
    fr: "Le contrat ne peut pas être publié.",
        "Corrigez ce que nomment les détails; un champ impossible à filtrer doit former un seul élément.";

    /// The caller's deadline passed before the call left this server.
    DeadlinePassed = "DEADLINE_PASSED", DEADLINE_EXCEEDED, CallerServer,
    en: "The deadline passed before anything was sent.",
        "Call again with a longer deadline.",
    fr: "Le délai a expiré avant tout envoi.",
        "Reprenez l’appel avec un délai plus long.";

    /// An element was asked for that the clause does not release.
    ElementNotAgreed = "ELEMENT_NOT_AGREED", PERMISSION_DENIED, Caller,
    en: "A data element asked for is not in the agreement.",
        "Ask only for agreed elements, or ask the steward to amend the agreement.",
    fr: "Un élément de données demandé ne figure pas dans l’entente.",
        "Demandez seulement les éléments convenus, ou faites modifier l’entente par son responsable.";

    /// The request carries a field whose element the clause does not list.
    FieldNotAgreed = "FIELD_NOT_AGREED", PERMISSION_DENIED, Caller,
    en: "The request carries a field that the agreement does not permit.",
        "Leave the field out, or ask the steward to amend the agreement.",
    fr: "La demande contient un champ que l’entente n’autorise pas.",
        "Retirez ce champ, ou faites modifier l’entente par son responsable.";

    /// Something in this server broke an invariant; the details stay in its own log.
    InternalFault = "INTERNAL_FAULT", INTERNAL, ProviderServer,
    en: "The security server failed on its own account.",
        "Give the transaction number to its operator.",
    fr: "Le serveur de sécurité a connu une défaillance interne.",
        "Communiquez le numéro de transaction à son exploitant.";

    /// The provider's system gave an answer that does not fit the contract.
    InvalidAnswer = "INVALID_ANSWER", INTERNAL, Adapter,
    en: "The provider's system gave an answer that does not fit its contract.",
        "The provider has to mend its system; calling again will not help.",
    fr: "Le système du fournisseur a donné une réponse non conforme à son contrat.",
        "Le fournisseur doit corriger son système; un nouvel appel n’y changera rien.";

    /// One of the two parties' registries does not recognise the other, or not for this.
    JurisdictionNotRecognised = "JURISDICTION_NOT_RECOGNISED", PERMISSION_DENIED, Registry,
    en: "The two parties' jurisdictions do not both recognise each other, or not for this.",
        "Ask the registrar that `entente peer trace` names; `entente trust list` shows how far your own registry goes.",
    fr: "Les administrations des deux parties ne se reconnaissent pas toutes deux, ou pas pour ceci.",
        "Adressez-vous au registraire que nomme `entente peer trace`; `entente trust list` montre jusqu’où va votre registre central.";

    /// A key or its certificate is past its end.
    KeyExpired = "KEY_EXPIRED", FAILED_PRECONDITION, CallerServer,
    en: "A key of the security server has expired.",
        "Its operator has to rotate the key.",
    fr: "Une clé du serveur de sécurité est échue.",
        "Son exploitant doit la remplacer.";

    /// A public key that the registry has seen before, anywhere.
    KeyReused = "KEY_REUSED", ALREADY_EXISTS, Registry,
    en: "This public key has been registered before.",
        "Make a new key; a key has one owner and one use, for ever.",
    fr: "Cette clé publique a déjà été enregistrée.",
        "Générez une nouvelle clé; une clé n’a qu’un propriétaire et qu’un usage, pour toujours.";

    /// A key the directory does not hold, or no longer holds for this use.
    KeyUnknown = "KEY_UNKNOWN", UNAUTHENTICATED, Registry,
    en: "The directory does not hold this key for this use.",
        "Register the key, or sign with one that is registered.",
    fr: "Le répertoire ne contient pas cette clé pour cet usage.",
        "Enregistrez la clé ou signez avec une clé enregistrée.";

    /// A key whose form or strength is refused at registration.
    KeyWeak = "KEY_WEAK", INVALID_ARGUMENT, Caller,
    en: "This public key is too weak or malformed.",
        "Make a new Ed25519 or P-256 key, as its use demands.",
    fr: "Cette clé publique est trop faible ou mal formée.",
        "Générez une nouvelle clé Ed25519 ou P-256, selon son usage.";

    /// The key that signs the registry's checkpoints is not at hand.
    LedgerKeyMissing = "LEDGER_KEY_MISSING", UNAVAILABLE, Registry,
    en: "The registry's ledger key is missing, so it takes only what denies and what puts another key in its place.",
        "The registrars must put a new key in office with `entente registry ledger-key`; try again afterwards.",
    fr: "La clé du journal du registre manque : seuls les refus et ce qui met une autre clé à sa place sont acceptés.",
        "Les registraires doivent mettre une nouvelle clé en fonction avec `entente registry ledger-key`; réessayez ensuite.";

    /// A ledger was shown in two versions, or a witness has seen another one of it.
    LogForked = "LOG_FORKED", FAILED_PRECONDITION, ProviderServer,
    en: "The access log of a security server was shown in two versions.",
        "Its operator must open a new shard and explain; the evidence is kept as an incident.",
    fr: "Le journal d’accès d’un serveur de sécurité a été montré en deux versions.",
        "Son exploitant doit ouvrir un nouveau fragment et s’expliquer; les preuves sont conservées comme incident.";

    /// The local ledger cannot be written; nothing was sent.
    LogUnavailable = "LOG_UNAVAILABLE", UNAVAILABLE, CallerServer,
    en: "The access log cannot be written, so nothing was sent.",
        "It is safe to try again once the operator has restored the log.",
    fr: "Le journal d’accès ne peut pas être écrit; rien n’a donc été envoyé.",
        "Vous pouvez réessayer sans risque dès que l’exploitant aura rétabli le journal.";

    /// The ledger's newest checkpoint lacks recent cosignatures of the policy's witnesses.
    LogUnwitnessed = "LOG_UNWITNESSED", UNAVAILABLE, CallerServer,
    en: "The access log has not been cosigned by its witnesses for too long, so nothing was sent.",
        "The operator must restore the way to the witnesses; it is safe to try again afterwards.",
    fr: "Le journal d’accès n’a pas été cosigné par ses témoins depuis trop longtemps; rien n’a donc été envoyé.",
        "L’exploitant doit rétablir l’accès aux témoins; vous pourrez ensuite réessayer sans risque.";

    /// The member is suspended in the directory.
    MemberSuspended = "MEMBER_SUSPENDED", PERMISSION_DENIED, Registry,
    en: "The member is suspended in the registry.",
        "Ask the registrar.",
    fr: "Le membre est suspendu dans le registre.",
        "Adressez-vous au registraire.";

    /// A message above the limit.
    MessageTooLarge = "MESSAGE_TOO_LARGE", RESOURCE_EXHAUSTED, Caller,
    en: "The message is larger than the limit.",
        "Send less at once; one message holds at most 16 MiB.",
    fr: "Le message dépasse la limite.",
        "Envoyez-en moins à la fois; un message compte au plus 16 Mio.";

    /// An `entente-*` header is missing, repeated or unreadable.
    MetadataInvalid = "METADATA_INVALID", INVALID_ARGUMENT, Caller,
    en: "A header of the call is missing or cannot be read.",
        "Mend the header named in the details.",
    fr: "Un en-tête de l’appel est absent ou illisible.",
        "Corrigez l’en-tête nommé dans les détails.";

    /// An envelope addressed to another server or system.
    Misaddressed = "MISADDRESSED", FAILED_PRECONDITION, CallerServer,
    en: "The message is addressed to another server or system.",
        "The sending server has to look the address up again in its directory.",
    fr: "Le message est adressé à un autre serveur ou système.",
        "Le serveur expéditeur doit revérifier l’adresse dans son répertoire.";

    /// The name belongs to another jurisdiction's registry.
    NameNotOurs = "NAME_NOT_OURS", PERMISSION_DENIED, Registry,
    en: "This registry does not speak for that name.",
        "Go to the registry of the jurisdiction in the name.",
    fr: "Ce registre n’a pas compétence sur ce nom.",
        "Adressez-vous au registre du territoire indiqué dans le nom.";

    /// The name is registered already.
    NameTaken = "NAME_TAKEN", ALREADY_EXISTS, Registry,
    en: "This name is registered already.",
        "Choose another name, or change the one that is there.",
    fr: "Ce nom est déjà enregistré.",
        "Choisissez un autre nom ou modifiez l’inscription existante.";

    /// No clause of an active agreement covers these two systems and this method.
    NoAgreement = "NO_AGREEMENT", PERMISSION_DENIED, CallerServer,
    en: "No agreement permits this call.",
        "Ask the owner of the service for an agreement; `entente agreement list` shows those you have.",
    fr: "Aucune entente n’autorise cet appel.",
        "Demandez une entente au propriétaire du service; `entente agreement list` affiche les vôtres.";

    /// A body of oversight without a mandate in force over that member.
    NoMandate = "NO_MANDATE", PERMISSION_DENIED, Registry,
    en: "No mandate in force lets this body read that member's ledgers.",
        "Ask the registrar; `entente mandate list` shows every mandate, over whom, and until when.",
    fr: "Aucun mandat en vigueur ne permet à cet organisme de lire les registres de ce membre.",
        "Adressez-vous au registraire; `entente mandate list` affiche chaque mandat, sur qui il porte, et jusqu’à quand.";

    /// The source has no record for what was asked; an answer, not a fault.
    NoRecord = "NO_RECORD", NOT_FOUND, Source,
    en: "The source has no record that matches.",
        "Check what you asked for; the search itself was made and logged.",
    fr: "La source ne contient aucun enregistrement correspondant.",
        "Vérifiez les critères demandés; la recherche a bien été faite et journalisée.";

    /// The source may have acted, and no answer that can be trusted came back.
    OutcomeUnknown = "OUTCOME_UNKNOWN", ABORTED, ProviderServer,
    en: "The request may have been carried out, but no proven answer came back.",
        "Do not simply repeat a request that changes something; ask the provider with the transaction number.",
    fr: "La demande a peut-être été exécutée, mais aucune réponse prouvée n’est revenue.",
        "Ne répétez pas une demande qui modifie des données; consultez le fournisseur avec le numéro de transaction.";

    /// The clause permits calls at other hours only.
    OutsideHours = "OUTSIDE_HOURS", RESOURCE_EXHAUSTED, Caller,
    en: "The agreement does not permit calls at this hour.",
        "Call within the hours of the clause.",
    fr: "L’entente n’autorise pas d’appels à cette heure.",
        "Appelez pendant les heures prévues à la clause.";

    /// Too many calls are in flight in this server, or for this peer or system.
    Overloaded = "OVERLOADED", RESOURCE_EXHAUSTED, ProviderServer,
    en: "Too many calls are in progress.",
        "Wait a moment and try again; nothing was done.",
    fr: "Trop d’appels sont en cours.",
        "Attendez un instant et réessayez; rien n’a été fait.";

    /// A peer whose server is not in the directory.
    PeerUnknown = "PEER_UNKNOWN", UNAUTHENTICATED, CallerServer,
    en: "The directory does not hold the sending server.",
        "Its operator has to register it with the registry.",
    fr: "Le répertoire ne contient pas le serveur expéditeur.",
        "Son exploitant doit l’inscrire au registre.";

    /// The other security server cannot be reached; nothing was delivered.
    PeerUnreachable = "PEER_UNREACHABLE", UNAVAILABLE, ProviderServer,
    en: "The provider's security server cannot be reached.",
        "Try again later; if it lasts, call the provider's operator.",
    fr: "Le serveur de sécurité du fournisseur est injoignable.",
        "Réessayez plus tard; si cela persiste, joignez l’exploitant du fournisseur.";

    /// The peer's TLS key is not the one the directory gives for that server.
    PeerUntrusted = "PEER_UNTRUSTED", UNAUTHENTICATED, ProviderServer,
    en: "The other server did not prove that it is who the directory says.",
        "Treat it as a security event until its operator explains it.",
    fr: "L’autre serveur n’a pas prouvé l’identité que lui donne le répertoire.",
        "Traitez-le comme un incident de sécurité tant que son exploitant ne l’a pas expliqué.";

    /// No protocol version or suite in common above the local floor.
    PeerVersion = "PEER_VERSION", UNAVAILABLE, ProviderServer,
    en: "The two servers have no protocol version or suite in common.",
        "The operator of the older server has to upgrade it.",
    fr: "Les deux serveurs n’ont aucune version de protocole ni suite en commun.",
        "L’exploitant du serveur le plus ancien doit le mettre à niveau.";

    /// The header entente-purpose is absent.
    PurposeMissing = "PURPOSE_MISSING", INVALID_ARGUMENT, Caller,
    en: "The call states no purpose.",
        "Give the purpose in the header entente-purpose; the details list those allowed.",
    fr: "L’appel n’indique aucune fin.",
        "Indiquez la fin de la demande dans l’en-tête entente-purpose; les détails énumèrent les fins permises.";

    /// The purpose stated is not one of the clause's.
    PurposeNotAgreed = "PURPOSE_NOT_AGREED", PERMISSION_DENIED, CallerServer,
    en: "The purpose stated is not in the agreement.",
        "Use an agreed purpose if it is the true one, or ask the steward to amend the agreement.",
    fr: "La fin indiquée ne figure pas dans l’entente.",
        "Indiquez une fin convenue si c’est la vraie, ou faites modifier l’entente par son responsable.";

    /// More calls in a short time than the clause or the server permits.
    RateLimited = "RATE_LIMITED", RESOURCE_EXHAUSTED, Caller,
    en: "Calls come faster than permitted.",
        "Slow down; the details say when to try again.",
    fr: "Les appels arrivent plus vite que permis.",
        "Ralentissez; les détails indiquent quand réessayer.";

    /// An answer without the provider's signed ledger position, or with one that does not fit.
    ReceiptMissing = "RECEIPT_MISSING", DATA_LOSS, ProviderServer,
    en: "The answer carries no valid receipt, so it was not passed on.",
        "The provider's operator has to explain it; the evidence is in your log.",
    fr: "La réponse ne porte aucun reçu valide; elle n’a donc pas été transmise.",
        "L’exploitant du fournisseur doit s’en expliquer; la preuve est dans votre journal.";

    /// The peer has seen a newer registry that this server could not reach in time.
    RegistryBehind = "REGISTRY_BEHIND", UNAVAILABLE, ProviderServer,
    en: "The receiving server has not caught up with the registry yet.",
        "Try again in a few seconds.",
    fr: "Le serveur destinataire n’a pas encore rattrapé le registre.",
        "Réessayez dans quelques secondes.";

    /// Two servers hold two different registries of the same size.
    RegistrySplit = "REGISTRY_SPLIT", DATA_LOSS, Registry,
    en: "The two servers were shown two different registries.",
        "This is an integrity alarm: keep the evidence and call the registrar and the oversight body.",
    fr: "Les deux serveurs ont reçu deux registres différents.",
        "C’est une alerte d’intégrité : conservez la preuve et avisez le registraire et l’organe de surveillance.";

    /// The verified copy of the registry is older than policy allows.
    RegistryStale = "REGISTRY_STALE", FAILED_PRECONDITION, CallerServer,
    en: "The security server's copy of the registry is too old.",
        "Its operator has to restore the connection to the registry.",
    fr: "La copie du registre que détient le serveur de sécurité est trop ancienne.",
        "Son exploitant doit rétablir la connexion au registre.";

    /// The registry cannot be reached.
    RegistryUnreachable = "REGISTRY_UNREACHABLE", UNAVAILABLE, Registry,
    en: "The registry cannot be reached.",
        "Check its address and try again; exchange goes on meanwhile.",
    fr: "Le registre est injoignable.",
        "Vérifiez son adresse et réessayez; les échanges se poursuivent entre-temps.";

    /// The registry's witnesses have not confirmed yet that its ledger is the newest there was.
    RegistryUnwitnessed = "REGISTRY_UNWITNESSED", UNAVAILABLE, Registry,
    en: "The registry takes no changes until its witnesses confirm that its ledger is the newest there was.",
        "The registrar must restore the way to the witnesses; it is safe to try again afterwards.",
    fr: "Le registre n’accepte aucun changement tant que ses témoins n’ont pas confirmé que son journal est le plus récent.",
        "Le registraire doit rétablir l’accès aux témoins; vous pourrez ensuite réessayer sans risque.";

    /// A message id that this server has accepted before.
    Replayed = "REPLAYED", ALREADY_EXISTS, ProviderServer,
    en: "This message was received before.",
        "A new try needs a new message; if nobody tried twice, treat it as a security event.",
    fr: "Ce message a déjà été reçu.",
        "Un nouvel essai exige un nouveau message; si personne n’a réessayé, traitez-le comme un incident de sécurité.";

    /// The request's bytes do not decode under the contract.
    RequestMalformed = "REQUEST_MALFORMED", INVALID_ARGUMENT, Caller,
    en: "The request cannot be read under the service's contract.",
        "Build your client from the contract that is published now.",
    fr: "La demande est illisible selon le contrat du service.",
        "Générez votre client à partir du contrat publié actuellement.";

    /// A response that answers another request, or comes from another party.
    ResponseMismatch = "RESPONSE_MISMATCH", DATA_LOSS, ProviderServer,
    en: "The answer belongs to another request, so it was not passed on.",
        "The provider's operator has to explain it; the evidence is in your log.",
    fr: "La réponse se rapporte à une autre demande; elle n’a donc pas été transmise.",
        "L’exploitant du fournisseur doit l’expliquer; la preuve est dans votre journal.";

    /// The sealed part does not open, or its seal session is another's.
    SealInvalid = "SEAL_INVALID", UNAUTHENTICATED, CallerServer,
    en: "The sealed content cannot be opened.",
        "The sending server has to seal it again under a new session; if it lasts, treat it as a security event.",
    fr: "Le contenu scellé ne peut pas être ouvert.",
        "Le serveur expéditeur doit le sceller de nouveau; si cela persiste, traitez-le comme un incident de sécurité.";

    /// A server signed for a system that the directory does not bind to it.
    SenderNotAllowed = "SENDER_NOT_ALLOWED", PERMISSION_DENIED, CallerServer,
    en: "The sending server may not sign for that system.",
        "The member has to register the system with that server first.",
    fr: "Le serveur expéditeur ne peut pas signer pour ce système.",
        "Le membre doit d’abord inscrire ce système auprès de ce serveur.";

    /// A session certificate outside its dates.
    SessionExpired = "SESSION_EXPIRED", UNAUTHENTICATED, CallerServer,
    en: "The sending server's session key has expired.",
        "That server has to certify a new session key; check its clock.",
    fr: "La clé de session du serveur expéditeur est échue.",
        "Ce serveur doit certifier une nouvelle clé de session; vérifiez son horloge.";

    /// A session certificate that does not verify or names another server or mode.
    SessionInvalid = "SESSION_INVALID", UNAUTHENTICATED, CallerServer,
    en: "The sending server's session certificate is not valid.",
        "Treat it as a security event until its operator explains it.",
    fr: "Le certificat de session du serveur expéditeur n’est pas valide.",
        "Traitez-le comme un incident de sécurité tant que son exploitant ne l’a pas expliqué.";

    /// A session issued before the moment its server revoked sessions.
    SessionRevoked = "SESSION_REVOKED", UNAUTHENTICATED, CallerServer,
    en: "The sending server's session key has been revoked.",
        "That server has to certify a new session key.",
    fr: "La clé de session du serveur expéditeur a été révoquée.",
        "Ce serveur doit certifier une nouvelle clé de session.";

    /// A seal or signing session that the receiver does not hold; the sender opens a new one.
    SessionUnknown = "SESSION_UNKNOWN", FAILED_PRECONDITION, CallerServer,
    en: "The receiving server does not hold this session.",
        "The sending server opens a new session by itself, once.",
    fr: "Le serveur destinataire ne connaît pas cette session.",
        "Le serveur expéditeur en ouvre une nouvelle de lui-même, une seule fois.";

    /// A shard that does not continue the one before, or a second open one.
    ShardConflict = "SHARD_CONFLICT", FAILED_PRECONDITION, Registry,
    en: "The ledger shard does not follow the server's last one.",
        "Open it with the last checkpoint of the shard before.",
    fr: "Le segment de journal ne fait pas suite au dernier du serveur.",
        "Ouvrez-le avec le dernier point de contrôle du segment précédent.";

    /// The server is draining before it stops.
    ShuttingDown = "SHUTTING_DOWN", UNAVAILABLE, ProviderServer,
    en: "The security server is stopping and takes no new calls.",
        "Try again in a minute; nothing was done.",
    fr: "Le serveur de sécurité s’arrête et n’accepte plus d’appels.",
        "Réessayez dans une minute; rien n’a été fait.";

    /// A statement, change or act whose signature does not verify strictly.
    SignatureInvalid = "SIGNATURE_INVALID", UNAUTHENTICATED, ProviderServer,
    en: "The signature does not verify.",
        "Treat it as a security event: nothing was accepted.",
    fr: "La signature n’est pas valide.",
        "Traitez-le comme un incident de sécurité : rien n’a été accepté.";

    /// The source has no free connection within its limits.
    SourceBusy = "SOURCE_BUSY", RESOURCE_EXHAUSTED, Source,
    en: "The source is at its limit.",
        "Try again later; the limit protects the legacy system.",
    fr: "La source a atteint sa limite.",
        "Réessayez plus tard; la limite protège le système patrimonial.";

    /// The source cannot be reached.
    SourceDown = "SOURCE_DOWN", UNAVAILABLE, Source,
    en: "The source cannot be reached.",
        "Try again later; the failure is counted against the source.",
    fr: "La source est injoignable.",
        "Réessayez plus tard; la panne est comptée auprès de son propriétaire.";

    /// The source refused the adapter's query or its identity.
    SourceRefused = "SOURCE_REFUSED", FAILED_PRECONDITION, Source,
    en: "The source refused the adapter's query.",
        "The adapter's owner has to check its rights and its file.",
    fr: "La source a refusé la requête de l’adaptateur.",
        "Le propriétaire de l’adaptateur doit vérifier ses droits et son fichier.";

    /// The source did not answer within its limit.
    SourceSlow = "SOURCE_SLOW", DEADLINE_EXCEEDED, Source,
    en: "The source did not answer in time.",
        "Try again later, or with a longer deadline if the contract allows one.",
    fr: "La source n’a pas répondu à temps.",
        "Réessayez plus tard, ou avec un délai plus long si le contrat le permet.";

    /// The source's data is older than the clause accepts.
    SourceStale = "SOURCE_STALE", FAILED_PRECONDITION, Source,
    en: "The source's data is older than the agreement accepts.",
        "Wait until its owner has refreshed it.",
    fr: "Les données de la source sont plus anciennes que l’entente ne l’admet.",
        "Attendez que leur propriétaire les ait mises à jour.";

    /// A statement that is not strict deterministic CBOR, lacks a key, or has an unknown critical one.
    StatementMalformed = "STATEMENT_MALFORMED", INVALID_ARGUMENT, CallerServer,
    en: "The signed statement cannot be read.",
        "The sending server's operator has to check its version.",
    fr: "La déclaration signée est illisible.",
        "L’exploitant du serveur expéditeur doit en vérifier la version.";

    /// A statement issued outside the accepted window.
    StatementStale = "STATEMENT_STALE", FAILED_PRECONDITION, CallerServer,
    en: "The signed statement is too old or from the future.",
        "Check the clocks of both servers, then send a new message.",
    fr: "La déclaration signée est trop ancienne ou vient du futur.",
        "Vérifiez l’horloge des deux serveurs, puis envoyez un nouveau message.";

    /// A streaming call; this version serves unary calls.
    StreamingLater = "STREAMING_LATER", UNIMPLEMENTED, CallerServer,
    en: "Streaming calls are not served yet.",
        "Use a method with one request and one answer.",
    fr: "Les appels en continu ne sont pas encore pris en charge.",
        "Utilisez une méthode à une seule demande et une seule réponse.";

    /// No time-stamping authority has vouched for the ledger within `required_within`.
    TimeUnproven = "TIME_UNPROVEN", FAILED_PRECONDITION, CallerServer,
    en: "The server's ledger has had no time stamp for too long; nothing was exchanged.",
        "It goes on by itself once the time-stamping authority answers; tell the server's operator.",
    fr: "Le registre du serveur n’est plus horodaté depuis trop longtemps; rien n’a été échangé.",
        "Tout reprendra quand le service d’horodatage répondra; avisez l’exploitant du serveur.";

    /// The answer is larger than the adapter's limit.
    TooManyBytes = "TOO_MANY_BYTES", RESOURCE_EXHAUSTED, Adapter,
    en: "The answer is larger than the adapter's limit; nothing was cut short.",
        "Ask for less at once.",
    fr: "La réponse dépasse la taille permise par l’adaptateur; rien n’a été tronqué.",
        "Demandez-en moins à la fois.";

    /// The source has more rows than the adapter's limit.
    TooManyRows = "TOO_MANY_ROWS", RESOURCE_EXHAUSTED, Adapter,
    en: "The source has more rows than the adapter's limit; nothing was cut short.",
        "Narrow what you ask for.",
    fr: "La source a plus de lignes que la limite de l’adaptateur; rien n’a été tronqué.",
        "Précisez votre demande.";

    /// More subjects than policy has named, under a clause that is not for bulk.
    TooManySubjects = "TOO_MANY_SUBJECTS", RESOURCE_EXHAUSTED, Caller,
    en: "One exchange under this clause may not be about so many persons.",
        "Ask about fewer at once, or agree on a clause whose mode is bulk.",
    fr: "Un échange selon cette clause ne peut pas viser autant de personnes.",
        "Demandez-en moins à la fois, ou convenez d’une clause de mode bulk.";

    /// No such member in the directory.
    UnknownMember = "UNKNOWN_MEMBER", NOT_FOUND, Registry,
    en: "The registry has no such member.",
        "Check the name: jurisdiction, then member.",
    fr: "Le registre ne contient pas ce membre.",
        "Vérifiez le nom : territoire, puis membre.";

    /// The service has no such method.
    UnknownMethod = "UNKNOWN_METHOD", UNIMPLEMENTED, Registry,
    en: "The service has no such method.",
        "Check the method against the published contract.",
    fr: "Le service n’offre pas cette méthode.",
        "Vérifiez la méthode dans le contrat publié.";

    /// The system offers no such service.
    UnknownService = "UNKNOWN_SERVICE", NOT_FOUND, Registry,
    en: "The registry has no such service for that system.",
        "Check the service's full name and the system that offers it.",
    fr: "Le registre ne contient pas ce service pour ce système.",
        "Vérifiez le nom complet du service et le système qui l’offre.";

    /// No such system in the directory.
    UnknownSystem = "UNKNOWN_SYSTEM", NOT_FOUND, Registry,
    en: "The registry has no such system.",
        "Check the name in the header entente-to.",
    fr: "Le registre ne contient pas ce système.",
        "Vérifiez le nom dans l’en-tête entente-to.";

    /// The source holds a code that the adapter's file does not map.
    UnmappedCode = "UNMAPPED_CODE", DATA_LOSS, Adapter,
    en: "The source holds a code that the adapter does not know.",
        "The adapter's owner has to map the code; no value is shown.",
    fr: "La source contient un code inconnu de l’adaptateur.",
        "Le propriétaire de l’adaptateur doit ajouter ce code; aucune valeur n’est affichée.";

    /// The clause demands an end user and none was given.
    UserRequired = "USER_REQUIRED", FAILED_PRECONDITION, Caller,
    en: "This clause demands the end user's identity.",
        "Add the header entente-user.",
    fr: "Cette clause exige l’identité de l’utilisateur.",
        "Ajoutez l’en-tête entente-user.";

    /// The clause's ceiling for the period is used up.
    VolumeExceeded = "VOLUME_EXCEEDED", RESOURCE_EXHAUSTED, CallerServer,
    en: "The volume that the agreement permits is used up.",
        "Wait for the next period, or ask the steward to amend the agreement.",
    fr: "Le volume permis par l’entente est épuisé.",
        "Attendez la prochaine période, ou faites modifier l’entente par son responsable.";
}
