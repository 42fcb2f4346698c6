"""The Swedish words of the demo."""

from fhirmedia.demo.words import Language, Words

LANGUAGE = Language(
    tag="sv",
    history="Anamnes",
    findings="Status och fynd",
    assessment="Bedömning",
    plan="Åtgärd och planering",
    greeting="Tack för er remiss. Bilderna ligger i det regionala mediearkivet och kan öppnas direkt i journalen.",
    synthetic="Syntetiskt dokument för demonstration. Personen och numret är påhittade.",
    external_study="Bilderna finns i regionens PACS.",
    patient_sent="Bild tagen och insänd av patienten, ännu inte bedömd.",
    views=("Översikt", "Närbild", "Detalj"),
    words={
        "lesion": Words(
            "Kontroll av pigmenterad förändring",
            (
                "Välavgränsad ljusbrun förändring på {site}, symmetrisk. Utgångsbild för uppföljning.",
                "Oförändrad form, något mörkare centralt. Ny bild om tre månader.",
                "Förändringen på {site} har vuxit sedan förra besöket. Oregelbunden kant och två färgtoner.",
                "Tydlig tillväxt, asymmetri och blåvit slöja vid dermatoskopi. Excideras med 2 mm marginal.",
            ),
            "Patienten har sedan något år en pigmenterad förändring på {site} som närstående tycker har ändrat "
            "sig. Ingen "
            "klåda, ingen blödning. Inga tidigare hudtumörer, en faster har haft malignt melanom.",
            "Hudtyp II. På {site} ses en pigmenterad förändring med oregelbunden kant. Dermatoskopiskt atypiskt "
            "nätverk, "
            "globuli perifert och strukturlösa områden. Palpabla lymfkörtlar saknas.",
            "Excision i lokalbedövning, preparatet skickas till patologen. Förnyad fotografering av övriga nevi "
            "om sex månader.",
            "Dysplastiskt nevus, fullständigt exciderat. Ingen malignitet.",
        ),
        "ulcer": Words(
            "Svårläkt sår",
            (
                "Sår på {site} med svart nekros och gulbelagd botten. Kraftig rodnad i omgivande hud.",
                "Mindre nekros efter revision, fibrinbeläggning kvar. Sårkanten uppluckrad, måttlig vätskning.",
                "Röd granulerande sårbotten, minskad yta. Inga infektionstecken. Fortsatt kompressionslindning.",
                "Såret på {site} nästan läkt, ny epitelkant runt om. Glesare omläggningar.",
            ),
            "Patient med typ 2-diabetes och venös insufficiens. Sår på {site} sedan fyra månader trots "
            "omläggning två gånger "
            "i veckan. Ankeltryck 0,86. Sömnen störs av smärta.",
            "Sår på {site}, enligt linjal 41 × 28 mm. Botten till hälften fibrinbelagd, i övrigt granulerande. "
            "Ingen bennära "
            "kontakt vid sondering. Perifera pulsar svaga men palpabla.",
            "Revision av fibrin, absorberande förband, kompression i två lager. Fotografering med linjal varje vecka.",
            "Venöst bensår under läkning, ytan har minskat med mer än hälften.",
        ),
        "burn": Words(
            "Brännskada",
            (
                "Dag 1: delhudsbrännskada på {site}, våt röd yta med blåsor och ljusare partier.",
                "Blåsor avlägsnade, rodnaden avtar. Silverförband byts varannan dag.",
                "Torr yta med kvarvarande skorpa. Epitelisering från kanterna.",
                "Läkt, rosa och plan hud på {site}. Silikonbehandling påbörjas.",
            ),
            "Skållskada på {site} av hett vatten i hemmet. Kyldes i tio minuter med ljummet vatten. "
            "Stelkrampsskydd aktuellt.",
            "Utbredning cirka 3 procent av kroppsytan, ytlig till djup delhudsskada. Cirkulation och känsel "
            "distalt utan anmärkning.",
            "Konservativ behandling, återbesök för bedömning av djup dag 3. Rörelseträning hos fysioterapeut.",
            "Ytlig delhudsskada, läkt utan transplantation.",
        ),
        "rash": Words(
            "Utslag",
            (
                "Välavgränsade fjällande plack på {site}. Ingen behandling ännu.",
                "Tunnare plack efter fyra veckors lokalbehandling. Mindre fjällning.",
                "Nästan utläkt, kvarvarande lätt rodnad på {site}.",
            ),
            "Sedan tre månader kliande, fjällande utslag på {site}. Provat mjukgörande utan effekt. Far med psoriasis.",
            "Multipla skarpt avgränsade erytematösa plack med silvervit fjällning på {site}. Naglar utan "
            "anmärkning, inga ledbesvär.",
            "Kalcipotriol och betametason en gång dagligen i fyra veckor, därefter nedtrappning. Nya bilder vid "
            "återbesöket.",
            "Plackpsoriasis av måttlig grad med god behandlingseffekt.",
        ),
        "fundus": Words(
            "Ögonbottenfotografering vid diabetes",
            (
                "Ögonbottenbild utan diabetesförändringar.",
                "Enstaka mikroaneurysm, ingen påverkan på makula.",
                "Tilltagande blödningar och hårda exsudat. Remiss för bedömning av laserbehandling.",
            ),
            "Typ 2-diabetes sedan elva år, senaste HbA1c 64. Kallad till ögonbottenfotografering enligt program.",
            "Synskärpa 0,9 på båda ögonen. Papiller skarpt avgränsade. Mikroaneurysm och spridda blödningar "
            "temporalt, makula torr.",
            "Ny fotografering om tolv månader. Blodtrycks- och glukoskontroll i primärvården.",
            "Måttlig icke-proliferativ retinopati, inget makulaödem.",
        ),
        "ear": Words(
            "Öronbesvär",
            (
                "Rodnad, buktande trumhinna. Akut mediaotit.",
                "Avtagande rodnad, vätska kvar bakom trumhinnan.",
                "Pärlgrå trumhinna med ljusreflex. Läkt.",
            ),
            "Feber och öronvärk sedan två dygn efter en veckas förkylning. Tredje episoden i vinter.",
            "Otoskopi: trumhinnan rodnad och buktande utan perforation. Hörselgången fri. Motsatt öra utan anmärkning.",
            "Fenoximetylpenicillin i fem dagar. Kontroll av trumhinnan med bild om tre månader.",
            "Akut mediaotit som läkt ut, normal hörsel.",
        ),
        "eye": Words(
            "Rött öga",
            (
                "Kraftigt injicierad bindhinna, spegelklar hornhinna.",
                "Minskad rodnad under behandling.",
                "Reaktionslöst öga, lugna förhållanden.",
            ),
            "Rött, ljuskänsligt öga sedan tre dagar. Inget trauma. Inga kontaktlinser.",
            "Spaltlampa: blandad injektion, enstaka celler i främre kammaren. Tryck 14 mmHg. Pupillen rund och "
            "reagerande.",
            "Kortikosteroiddroppar i nedtrappning, återbesök med bild om en vecka.",
            "Främre uveit i regress.",
        ),
        "bowel": Words(
            "Koloskopi",
            (
                "Uttalad inflammation med kontaktblödning i kolon.",
                "Måttlig rodnad, kärlteckningen delvis återkommen.",
                "Slät slemhinna med normala veck. Biopsier tagna.",
            ),
            "Blodiga diarréer sedan sex veckor, viktnedgång 4 kg. F-kalprotektin 1 850. Inga resor.",
            "Instrumentet förs till terminala ileum. Sammanhängande inflammation från rektum till "
            "vänsterflexuren. En 6 mm "
            "polyp i sigmoideum avlägsnas med slynga.",
            "Mesalazin peroralt och lokalt. Ny endoskopi efter tre månader.",
            "Ulcerös kolit, vänstersidig, i förbättring. Adenom avlägsnat i sin helhet.",
        ),
        "hand": Words(
            "Handskada",
            (
                "Svullnad ulnart över {site}, nedsatt greppstyrka. Bild före gipsning.",
                "Gips avlägsnat, läkning pågår. Lätt felställning accepteras.",
                "Läkt fraktur, full rörlighet.",
            ),
            "Slog handen mot en dörrkarm i går kväll. Smärta och svullnad över femte mellanhandsbenet.",
            "Svullnad och palpationsömhet, ingen rotationsfelställning. Känsel och cirkulation intakt.",
            "Gipsskena i fyra veckor, tidig fingerträning. Röntgenkontroll efter en vecka.",
            "Subkapital fraktur på metakarpale V med 25 graders vinkling, konservativ behandling.",
        ),
        "heart": Words(
            "Hjärtauskultation",
            (
                "Systoliskt blåsljud grad 3 över aortaostiet, utstrålning mot halsen.",
                "Oförändrat blåsljud vid kontroll.",
                "Svagare blåsljud efter åtgärd. Regelbunden rytm.",
            ),
            "Remitteras på grund av nyupptäckt blåsljud och tilltagande andfåddhet i trappor. Inga svimningar.",
            "Inspelning med elektroniskt stetoskop i fyra positioner. Blodtryck 142/78, puls 72 regelbunden. "
            "Inga ödem.",
            "Ekokardiografi inom fyra veckor. Jämför med inspelningen vid nästa besök.",
            "Måttlig aortastenos, fortsatt uppföljning årligen.",
        ),
        "gait": Words(
            "Gånganalys under rehabilitering",
            (
                "Uttalad hälta, kort belastningsfas på den sjuka sidan. Går med stavar inför filmningen.",
                "Jämnare steglängd, fortsatt nedsatt knäflexion i svängfasen.",
                "Ökad gånghastighet. Lätt bålsvaj kvarstår.",
                "Nästan symmetriskt gångmönster. Rehabiliteringsmålen uppnådda.",
            ),
            "Genomgången stroke med svaghet i ena benet. Påbörjar intensiv gångträning tre gånger i veckan.",
            "Filmad från sidan på gångbana med ledmarkörer. Gånghastighet, steglängd och belastningstid mäts vid "
            "varje besök.",
            "Fortsatt styrke- och balansträning. Ny film om tre veckor i samma vy för jämförelse sida vid sida.",
            "God återhämtning av gångförmågan, hastigheten har mer än fördubblats.",
        ),
        "ultrasound": Words(
            "Ultraljudsundersökning",
            (
                "Cystisk förändring, glattväggig. Uppföljning om åtta veckor.",
                "Minskande storlek, inga solida partier.",
            ),
            "Oregelbundna blödningar och tryckkänsla i nedre delen av buken sedan två månader.",
            "Två ekotomma, glattväggiga cystor utan skiljeväggar. Ingen fri vätska. Endometriet 6 mm.",
            "Ny ultraljudsundersökning om åtta veckor. Tumörmarkörer tas vid kvarstående fynd.",
            "Funktionella cystor, sannolikt spontan tillbakagång.",
        ),
        "radiology": Words(
            "Röntgenundersökning",
            ("Undersökt enligt standardprotokoll.",),
            "Frågeställning enligt remiss: smärta efter fall, fraktur?",
            "Ingen säker fraktur eller felställning. Måttliga degenerativa förändringar.",
            "Ingen ytterligare bilddiagnostik planerad.",
            "Inga akuta skelettförändringar.",
        ),
    },
)
